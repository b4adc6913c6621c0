/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** What a script may require (RFC 5228 section 3.2), and what it asks for in vain. */
enum Extension {
    ENCODED_CHARACTER("encoded-character"),
    ENVELOPE("envelope"),
    RELATIONAL("relational"),
    REGEX("regex"),
    SUBADDRESS("subaddress"),
    COPY("copy"),
    REJECT("reject"),
    EREJECT("ereject"),
    EDITHEADER("editheader"),
    ENVIRONMENT("environment"),
    BODY("body"),
    DATE("date"),
    INDEX("index"),
    VARIABLES("variables"),
    EXTLISTS("extlists"),
    IHAVE("ihave"),
    MIME("mime"),
    FOREVERYPART("foreverypart"),
    OCTET("comparator-i;octet"),
    CASEMAP("comparator-i;ascii-casemap"),
    NUMERIC("comparator-i;ascii-numeric"),
    MAILFLOW("vnd.mailflow");

    private static final String NO_FLAGS = "flags belong to a mailbox; mark the message with 'addheader' or 'setscl'";
    private static final String NO_MAILBOX =
            "a transport rule knows no mailboxes; use 'quarantine', 'route' or 'redirect'";
    private static final String NO_SPAM_TEST = "test the header that the filter wrote with 'header'";
    private static final String NO_NOTICE = "use 'redirect :copy' or 'bcc'";
    private static final String NO_INCLUDE = "write one <rule> for each script; rules run in order";
    private static final String NO_NEW_BODY =
            "the body of a message is never changed; use 'addheader' or 'prependsubject'";

    /** Extensions that mean nothing in a transport rule, and what to use instead. */
    private static final Map<String, String> ALTERNATIVES = Map.ofEntries(
            Map.entry("fileinto", NO_MAILBOX),
            Map.entry("mailbox", NO_MAILBOX),
            Map.entry("mailboxid", NO_MAILBOX),
            Map.entry("special-use", NO_MAILBOX),
            Map.entry("mboxmetadata", NO_MAILBOX),
            Map.entry("servermetadata", NO_MAILBOX),
            Map.entry(
                    "vacation",
                    "an absence is told by the user's own script; use 'reject' to tell the sender something"),
            Map.entry("vacation-seconds", "an absence is told by the user's own script; use 'reject'"),
            Map.entry("imap4flags", NO_FLAGS),
            Map.entry("imapsieve", NO_MAILBOX),
            Map.entry("enotify", NO_NOTICE),
            Map.entry("notify", NO_NOTICE),
            Map.entry("include", NO_INCLUDE),
            Map.entry("spamtest", NO_SPAM_TEST),
            Map.entry("spamtestplus", NO_SPAM_TEST),
            Map.entry("virustest", NO_SPAM_TEST),
            Map.entry("duplicate", "a gateway does not remember messages; use 'header' on Message-ID for a known one"),
            Map.entry("replace", NO_NEW_BODY),
            Map.entry("enclose", NO_NEW_BODY),
            Map.entry("extracttext", "use 'body' to look into text"),
            Map.entry("convert", NO_NEW_BODY),
            Map.entry("redirect-dsn", "connectors decide about delivery reports"),
            Map.entry("redirect-deliverby", "connectors decide about delivery times"));

    private final String capability;

    Extension(String capability) {
        this.capability = capability;
    }

    String capability() {
        return capability;
    }

    static Optional<Extension> named(String capability) {
        return Arrays.stream(values())
                .filter(one -> one.capability.equals(capability))
                .findFirst();
    }

    /** What to use instead of something that other Sieve interpreters know. */
    static Optional<String> alternative(String name) {
        return Optional.ofNullable(ALTERNATIVES.get(name));
    }

    /** All of them, for people. */
    static String known() {
        return Arrays.stream(values()).map(Extension::capability).collect(Collectors.joining(", "));
    }
}
