/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dane;

import java.util.List;

import dev.mailflow.delivery.tls.PublishedTrust;

/** What DANE says of a next hop; the table of the delivery design. */
public sealed interface DaneAnswer {

    /**
     * DANE has no say: something on the way to the host is not signed, or it has no TLSA records.
     *
     * @param reason for people
     */
    record Silent(String reason) implements DaneAnswer {}

    /**
     * There are TLSA records.
     *
     * @param records all of them, those that cannot be judged by included, as in a zone file, in a fixed order
     */
    record Published(PublishedTrust.Dane trust, List<String> records) implements DaneAnswer {
        public Published {
            records = List.copyOf(records);
        }
    }

    /**
     * It cannot be told: the host must not get mail now.
     *
     * @param reason for people
     */
    record Unknown(String reason) implements DaneAnswer {}
}
