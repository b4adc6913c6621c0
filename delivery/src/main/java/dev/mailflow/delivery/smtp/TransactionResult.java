/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.util.Map;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.delivery.RecipientOutcome;

/**
 * What came of a message on one connection.
 *
 * @param settled recipients whose outcome is known
 * @param failure what befell the recipients that are not settled; empty: all are settled
 * @param replied whether the next hop replied to any command of this message
 */
public record TransactionResult(
        Map<MailAddress, RecipientOutcome> settled, Optional<HopFailure> failure, boolean replied) {

    public TransactionResult {
        settled = Map.copyOf(settled);
    }
}
