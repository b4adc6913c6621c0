/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.Origin;

/**
 * A message as rules see it. What is costly to find out (an index of the header, the MIME structure) is found out once and
 * remembered: {@link #ofHeader} until a rule edits the header, {@link #ofBody} for good.
 */
public final class RuleMessage {

    /** The bytes after the header section. */
    public interface Body {
        /** May be called more than once; each stream starts at the first byte of the body. */
        InputStream open() throws IOException;

        /** A message whose body nobody knows. */
        static Body empty() {
            return InputStream::nullInputStream;
        }
    }

    /** A whole message. */
    @FunctionalInterface
    public interface Bytes {
        /** May be called more than once; each stream starts at the first byte of the header. */
        InputStream open() throws IOException;
    }

    private final Optional<MailAddress> sender;
    private final List<MailAddress> recipients;
    private final HeaderSection header;
    private final long size;
    private final Body body;
    private final Optional<InboundFacts> facts;
    private final Origin origin;
    private final AcceptedDomains acceptedDomains;
    private final Map<Class<?>, Object> knownOfHeader = new ConcurrentHashMap<>();
    private final Map<Class<?>, Object> knownOfBody;

    /**
     * @param sender envelope sender; empty: the null sender
     * @param recipients envelope recipients, all of them
     * @param size bytes of the whole message
     * @param facts empty: a message that the server made itself
     * @param origin where it comes from, as rules see it
     */
    public RuleMessage(
            Optional<MailAddress> sender,
            List<MailAddress> recipients,
            HeaderSection header,
            long size,
            Body body,
            Optional<InboundFacts> facts,
            Origin origin,
            AcceptedDomains acceptedDomains) {
        this(sender, recipients, header, size, body, facts, origin, acceptedDomains, new ConcurrentHashMap<>());
    }

    private RuleMessage(
            Optional<MailAddress> sender,
            List<MailAddress> recipients,
            HeaderSection header,
            long size,
            Body body,
            Optional<InboundFacts> facts,
            Origin origin,
            AcceptedDomains acceptedDomains,
            Map<Class<?>, Object> knownOfBody) {
        this.sender = sender;
        this.recipients = List.copyOf(recipients);
        this.header = header;
        this.size = size;
        this.body = body;
        this.facts = facts;
        this.origin = origin;
        this.acceptedDomains = acceptedDomains;
        this.knownOfBody = knownOfBody;
    }

    /**
     * A message by its bytes; reads the header now and the body when a rule asks for it.
     *
     * @throws IOException when the header cannot be read
     */
    public static RuleMessage read(
            Bytes bytes,
            long size,
            Optional<MailAddress> sender,
            List<MailAddress> recipients,
            Optional<InboundFacts> facts,
            AcceptedDomains acceptedDomains)
            throws IOException {
        HeaderSection header;
        try (InputStream in = new BufferedInputStream(bytes.open())) {
            header = HeaderSection.read(in);
        }
        Body body = () -> {
            InputStream in = new BufferedInputStream(bytes.open());
            HeaderSection.read(in);
            return in;
        };
        return new RuleMessage(
                sender,
                recipients,
                header,
                size,
                body,
                facts,
                facts.map(InboundFacts::origin).orElse(Origin.INTERNET),
                acceptedDomains);
    }

    /** This message with another header. */
    @SuppressWarnings("ReferenceEquality") // comparing bytes would cost more than it saves
    public RuleMessage with(HeaderSection edited) {
        return edited == header
                ? this
                : new RuleMessage(sender, recipients, edited, size, body, facts, origin, acceptedDomains, knownOfBody);
    }

    public Optional<MailAddress> sender() {
        return sender;
    }

    public List<MailAddress> recipients() {
        return recipients;
    }

    public HeaderSection header() {
        return header;
    }

    public long size() {
        return size;
    }

    public Body body() {
        return body;
    }

    public Optional<InboundFacts> facts() {
        return facts;
    }

    public Origin origin() {
        return origin;
    }

    public AcceptedDomains acceptedDomains() {
        return acceptedDomains;
    }

    /** What {@code finder} finds in the header, found once. */
    public <T> T ofHeader(Class<T> what, Function<RuleMessage, T> finder) {
        return what.cast(knownOfHeader.computeIfAbsent(what, unused -> finder.apply(this)));
    }

    /** What {@code finder} finds in the body and in the header fields that describe it, found once. */
    public <T> T ofBody(Class<T> what, Function<RuleMessage, T> finder) {
        return what.cast(knownOfBody.computeIfAbsent(what, unused -> finder.apply(this)));
    }
}
