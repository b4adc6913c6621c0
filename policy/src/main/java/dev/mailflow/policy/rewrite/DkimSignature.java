/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a DKIM-Signature says about itself (RFC 6376 section 3.5).
 *
 * @param domain {@code d=}
 * @param fields {@code h=}, in lower case
 */
record DkimSignature(String domain, Set<String> fields) {

    /** Reads a field's value; empty when it lacks a domain or a list of fields and so proves nothing. */
    static Optional<DkimSignature> read(String value) {
        Optional<String> domain = Optional.empty();
        Optional<String> fields = Optional.empty();
        for (String tag : value.split(";")) {
            int equals = tag.indexOf('=');
            String name = equals < 0 ? "" : tag.substring(0, equals).strip();
            if (name.equals("d")) {
                domain = Optional.of(tag.substring(equals + 1).strip()).filter(text -> !text.isEmpty());
            } else if (name.equals("h")) {
                fields = Optional.of(tag.substring(equals + 1));
            }
        }
        return domain.isPresent() && fields.isPresent()
                ? Optional.of(new DkimSignature(domain.get(), names(fields.get())))
                : Optional.empty();
    }

    private static Set<String> names(String list) {
        return Arrays.stream(list.split(":"))
                .map(name -> name.strip().toLowerCase(java.util.Locale.ROOT))
                .collect(Collectors.toUnmodifiableSet());
    }
}
