/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery;

import java.util.Optional;

import org.apache.james.core.MailAddress;

/**
 * A recipient and its delivery status requests (RFC 3461), passed on to next hops that offer DSN.
 *
 * @param notifyOn value of NOTIFY, e.g. {@code SUCCESS,FAILURE}
 * @param originalRecipient value of ORCPT, e.g. {@code rfc822;joe@contoso.com}
 */
public record OutboundRecipient(MailAddress address, Optional<String> notifyOn, Optional<String> originalRecipient) {

    public static OutboundRecipient of(MailAddress address) {
        return new OutboundRecipient(address, Optional.empty(), Optional.empty());
    }
}
