/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.util.List;
import java.util.Optional;

import org.xbill.DNS.Name;
import org.xbill.DNS.Record;

/** What DNS says of a name and a record type. */
public sealed interface DnsAnswer {

    /**
     * Whether DNSSEC vouches for all of it, the way through aliases included, as told by a resolver that is trusted to
     * know.
     */
    boolean secure();

    /** The name that the answer is of, after all aliases; empty: that cannot be told. */
    Optional<Name> end();

    /** At least one record. */
    record Found(List<Record> records, Name canonical, boolean secure) implements DnsAnswer {
        /** @param canonical the name the records are of, after all aliases */
        public Found {
            records = List.copyOf(records);
        }

        @Override
        public Optional<Name> end() {
            return Optional.of(canonical);
        }
    }

    /**
     * There is none.
     *
     * @param exists whether the name has records of other types
     * @param canonical the name that has none, after all aliases
     */
    record Nothing(boolean exists, Name canonical, boolean secure) implements DnsAnswer {
        @Override
        public Optional<Name> end() {
            return Optional.of(canonical);
        }
    }

    /**
     * It cannot be told: no answer, SERVFAIL, or data that DNSSEC proves forged.
     *
     * @param reason for people
     */
    record Unknown(String reason) implements DnsAnswer {
        @Override
        public boolean secure() {
            return false;
        }

        @Override
        public Optional<Name> end() {
            return Optional.empty();
        }
    }
}
