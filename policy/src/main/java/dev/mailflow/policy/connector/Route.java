/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

/** The connector chosen for one recipient, and why. */
public sealed interface Route {

    /** One clause for people, e.g. {@code recipientDomain *.fabrikam.com}. */
    String reason();

    /** The recipient leaves by this connector. */
    record Via(OutboundConnector connector, String reason) implements Route {}

    /** A connector was named that is not there or disabled: the mail must be deferred, never sent another way. */
    record NoSuchConnector(String name, String reason) implements Route {}
}
