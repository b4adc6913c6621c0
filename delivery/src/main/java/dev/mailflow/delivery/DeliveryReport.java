/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.james.core.MailAddress;

/**
 * What became of each recipient in one attempt.
 *
 * @param outcomes one for every recipient, in their order
 */
public record DeliveryReport(Map<MailAddress, RecipientOutcome> outcomes) {

    public DeliveryReport {
        outcomes = Collections.unmodifiableMap(new LinkedHashMap<>(outcomes));
    }
}
