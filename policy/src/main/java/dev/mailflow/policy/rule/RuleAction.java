/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import org.apache.james.core.MailAddress;

/** One thing that a rule does with a message (mail-flow behaviour, section 6). */
public sealed interface RuleAction {

    /** The action as a script would say it, for logs. */
    default String script() {
        if (this instanceof Keep) {
            return "keep";
        } else if (this instanceof Discard) {
            return "discard";
        } else if (this instanceof Redirect redirect) {
            return "redirect " + (redirect.copy() ? ":copy " : "") + quoted(redirect.to());
        } else if (this instanceof Reject reject) {
            return "reject " + quoted(reject.reason());
        } else if (this instanceof AddHeader header) {
            // its value may be of the message, which is nobody's business
            return "addheader " + (header.last() ? ":last " : "") + quoted(header.name());
        } else if (this instanceof DeleteHeader header) {
            return "deleteheader " + quoted(header.name()) + " (" + header.count() + ")";
        } else if (this instanceof PrependSubject subject) {
            return "prependsubject " + quoted(subject.text());
        } else if (this instanceof Route route) {
            return "route " + quoted(route.connector());
        } else if (this instanceof RequireTls) {
            return "requiretls";
        } else if (this instanceof SetScl scl) {
            return "setscl " + scl.level();
        } else if (this instanceof Bcc bcc) {
            return "bcc " + quoted(bcc.to());
        } else if (this instanceof AddRecipient recipient) {
            return "addrecipient " + quoted(recipient.to());
        } else if (this instanceof Quarantine quarantine) {
            return "quarantine " + quoted(quarantine.repository());
        }
        throw new IllegalStateException("an action without words: " + getClass());
    }

    private static String quoted(Object value) {
        String text = String.valueOf(value);
        return '"' + (text.length() > 200 ? text.substring(0, 200) + "\u2026" : text) + '"';
    }

    /** RFC 5228 section 4.3: nothing changes. */
    record Keep() implements RuleAction {}

    /** RFC 5228 section 4.4: the recipients do not get it and nobody is told. */
    record Discard() implements RuleAction {}

    /**
     * RFC 5228 section 4.2: somebody else gets it.
     *
     * @param copy RFC 3894: the recipients get it as well
     */
    record Redirect(MailAddress to, boolean copy) implements RuleAction {}

    /** RFC 5429: the recipients do not get it and the sender learns why. */
    record Reject(String reason) implements RuleAction {}

    /** RFC 5293: a field was added; the verdict's header has it. */
    record AddHeader(String name, String value, boolean last) implements RuleAction {}

    /** RFC 5293: fields were deleted; the verdict's header lacks them. */
    record DeleteHeader(String name, int count) implements RuleAction {}

    /** The subject got a prefix; the verdict's header has it. */
    record PrependSubject(String text) implements RuleAction {}

    /** The recipients' copy leaves by this outbound connector. */
    record Route(String connector) implements RuleAction {}

    /** The recipients' copy leaves over TLS or not at all. */
    record RequireTls() implements RuleAction {}

    /**
     * The spam confidence level, as Exchange counts.
     *
     * @param level -1 to 9
     */
    record SetScl(int level) implements RuleAction {}

    /** One more recipient, whom the header does not show. */
    record Bcc(MailAddress to) implements RuleAction {}

    /** One more recipient, whom the header shows: the verdict's header has it. */
    record AddRecipient(MailAddress to) implements RuleAction {}

    /**
     * The recipients do not get it; it waits in a mail repository for an administrator.
     *
     * @param repository a James mail repository URL, or a bare name under {@code file://var/mail/}
     */
    record Quarantine(String repository) implements RuleAction {}
}
