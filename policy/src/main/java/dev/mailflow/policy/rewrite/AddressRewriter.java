/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import javax.mail.internet.AddressException;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.Origin;

/**
 * Address rewriting of whole messages in one direction (mail-flow behaviour, section 5): which mail it applies to, its
 * envelope, and the fields of its header, byte by byte. Pure; time and memory are linear in the header.
 */
public final class AddressRewriter {
    private static final String DKIM_SIGNATURE = "DKIM-Signature";

    private final AddressRewriteTable table;
    private final AcceptedDomains domains;
    private final Direction direction;
    private final RewrittenFields fields;

    public AddressRewriter(MailFlowPolicy policy, Direction direction, RewrittenFields fields) {
        this.table = policy.addressRewrite();
        this.domains = policy.acceptedDomains();
        this.direction = direction;
        this.fields = fields;
    }

    public AddressRewriter(MailFlowPolicy policy, Direction direction) {
        this(policy, direction, RewrittenFields.defaults(direction));
    }

    /**
     * Whether a mail is rewritten at all.
     *
     * @param reason for people
     */
    public record Scope(boolean applies, String reason) {}

    /**
     * Whether this direction's rewriting applies to a mail.
     *
     * <p>Outbound: the sender is in an accepted domain, or in a subdomain that a {@code *.} entry of an authoritative
     * accepted domain names. The null sender has no domain; its mail counts as ours when it comes from inside. Inbound:
     * the mail comes from outside. Without facts a mail comes from outside when its sender is not one of ours.
     *
     * @param origin what the SMTP hooks found out; empty: they did not see the mail
     * @param sender empty: the null sender
     * @param remoteAddress the client's address as James noted it; a loopback address when the server made the mail itself
     */
    public Scope scope(Optional<Origin> origin, Optional<MailAddress> sender, String remoteAddress) {
        if (table.isEmpty()) {
            return new Scope(false, "the policy has no rewriting entries");
        }
        return switch (direction) {
            case OUTBOUND -> outbound(origin, sender, remoteAddress);
            case INBOUND -> inbound(origin, sender);
        };
    }

    private Scope outbound(Optional<Origin> origin, Optional<MailAddress> sender, String remoteAddress) {
        if (sender.isEmpty()) {
            boolean inside = origin.map(Origin.INTERNAL::equals).orElseGet(() -> isLoopback(remoteAddress));
            return new Scope(inside, "null sender of mail that comes from " + (inside ? "inside" : "outside"));
        }
        Domain domain = sender.get().getDomain();
        boolean ours = isOurs(domain.asString());
        return new Scope(ours, "sender domain " + domain.asString() + (ours ? " is" : " is not") + " one of ours");
    }

    private Scope inbound(Optional<Origin> origin, Optional<MailAddress> sender) {
        if (origin.isPresent()) {
            boolean outside = origin.get() != Origin.INTERNAL;
            return new Scope(outside, "origin " + origin.get());
        }
        boolean outside =
                sender.map(address -> !isOurs(address.getDomain().asString())).orElse(true);
        return new Scope(
                outside,
                "origin unknown, "
                        + sender.map(address -> "sender domain "
                                        + address.getDomain().asString() + (outside ? " is not" : " is")
                                        + " one of ours")
                                .orElse("null sender"));
    }

    private boolean isOurs(String domain) {
        return accepted(domain).isPresent()
                || table.flattening(domain)
                        .flatMap(entry -> accepted(entry.internal().domain().name()))
                        .filter(apex -> apex.type() == AcceptedDomain.Type.AUTHORITATIVE)
                        .isPresent();
    }

    private Optional<AcceptedDomain> accepted(String domain) {
        try {
            return domains.find(Domain.of(domain));
        } catch (IllegalArgumentException e) {
            // strangers may write anything where a domain should be
            return Optional.empty();
        }
    }

    private static boolean isLoopback(String address) {
        try {
            return IpAddress.parse(address).toInetAddress().isLoopbackAddress();
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /**
     * What becomes of an address of the envelope.
     *
     * @param settled addresses that an earlier pass put into this mail, see {@link #settled}
     */
    public Rewrite rewrite(MailAddress address, Set<String> settled) {
        return rewrite(address.getLocalPart(), address.getDomain().asString(), settled);
    }

    /**
     * The new address as the envelope holds it; empty when James's addresses cannot express it (3.8 knows no SMTPUTF8), so
     * that the old one has to stay.
     */
    public static Optional<MailAddress> envelopeAddress(Rewrite.Changed change) {
        try {
            return Optional.of(new MailAddress(change.after()));
        } catch (AddressException e) {
            return Optional.empty();
        }
    }

    private Rewrite rewrite(String localPart, String domain, Set<String> settled) {
        if (!settled.isEmpty() && settled.contains(AddressRewriteTable.key(localPart, domain))) {
            return new Rewrite.Unchanged(localPart + "@" + domain, "an address is rewritten once");
        }
        return table.rewrite(localPart, domain, direction);
    }

    /**
     * Of the addresses just written, those that a second pass over the same mail would rewrite again because they are the
     * beginning of another entry. To be remembered with the mail.
     */
    public Set<String> settled(Collection<Rewrite.Changed> changes) {
        Set<String> settled = new LinkedHashSet<>();
        for (Rewrite.Changed change : changes) {
            String localPart = change.newLocalPart().orElse(change.localPart());
            if (table.rewrite(localPart, change.newDomain(), direction) instanceof Rewrite.Changed) {
                settled.add(AddressRewriteTable.key(localPart, change.newDomain()));
            }
        }
        return settled;
    }

    /**
     * The header with other addresses in its fields, and without the DKIM signatures of ours that covered one of them.
     *
     * @param settled addresses that an earlier pass put into this mail, see {@link #settled}
     */
    public RewrittenHeader rewrite(HeaderSection section, Set<String> settled) {
        List<HeaderField> after = new ArrayList<>(section.fields().size());
        List<RewrittenHeader.FieldChange> changes = new ArrayList<>();
        List<RewrittenHeader.UnreadableField> unreadable = new ArrayList<>();
        boolean newLine = true;
        for (HeaderField field : section.fields()) {
            // A field that begins or ends at a bare carriage return is, to an MTA, part of another one.
            boolean whole = newLine && field.raw().endsWith("\n");
            newLine = field.raw().endsWith("\n");
            if (!whole || !fields.contains(field.name())) {
                after.add(field);
                continue;
            }
            AddressList.Outcome list = AddressList.read(field.raw(), field.raw().indexOf(':') + 1);
            if (list instanceof AddressList.Unreadable malformed) {
                unreadable.add(new RewrittenHeader.UnreadableField(field.name(), malformed.reason()));
                after.add(field);
            } else if (list instanceof AddressList.Addresses addresses) {
                after.add(rewrite(field, addresses.all(), settled, changes));
            }
        }
        List<RewrittenHeader.RemovedSignature> removed = new ArrayList<>();
        return new RewrittenHeader(
                changes.isEmpty() ? section : section.with(withoutBrokenSignatures(after, changes, removed)),
                changes,
                unreadable,
                removed);
    }

    private HeaderField rewrite(
            HeaderField field,
            List<AddressList.Address> addresses,
            Set<String> settled,
            List<RewrittenHeader.FieldChange> changes) {
        String raw = field.raw();
        StringBuilder text = new StringBuilder(raw.length() + 64);
        List<Rewrite.Changed> rewrites = new ArrayList<>();
        int done = 0;
        for (AddressList.Address address : addresses) {
            if (rewrite(address.localPart(), address.domain(), settled) instanceof Rewrite.Changed changed) {
                if (changed.newLocalPart().isPresent()) {
                    text.append(raw, done, address.localStart());
                    replace(
                            text,
                            raw,
                            address.localStart(),
                            address.localEnd(),
                            bytes(changed.newLocalPart().get()));
                    done = address.localEnd();
                }
                text.append(raw, done, address.domainStart());
                replace(text, raw, address.domainStart(), address.domainEnd(), changed.newDomain());
                done = address.domainEnd();
                rewrites.add(changed);
            }
        }
        if (rewrites.isEmpty()) {
            return field;
        }
        HeaderField after = new HeaderField(text.append(raw, done, raw.length()).toString());
        changes.add(new RewrittenHeader.FieldChange(field.name(), List.copyOf(rewrites), after));
        return after;
    }

    /** Puts the new text in the place of the words from start to end; white space and comments among them stay. */
    private static void replace(StringBuilder text, String raw, int start, int end, String replacement) {
        text.append(replacement);
        int i = start;
        while (i < end) {
            int word = AddressList.afterSpace(raw, i, end);
            text.append(raw, i, word);
            i = word < end ? AddressList.afterWord(raw, word, end) : end;
        }
    }

    private static String bytes(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    private List<HeaderField> withoutBrokenSignatures(
            List<HeaderField> header,
            List<RewrittenHeader.FieldChange> changes,
            List<RewrittenHeader.RemovedSignature> removed) {
        Set<String> rewritten = changes.stream()
                .map(change -> change.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.toCollection(LinkedHashSet::new));
        List<HeaderField> kept = new ArrayList<>(header.size());
        boolean newLine = true;
        for (HeaderField field : header) {
            boolean whole = newLine && field.raw().endsWith("\n");
            newLine = field.raw().endsWith("\n");
            Optional<RewrittenHeader.RemovedSignature> broken = whole ? broken(field, rewritten) : Optional.empty();
            broken.ifPresentOrElse(removed::add, () -> kept.add(field));
        }
        return kept;
    }

    private Optional<RewrittenHeader.RemovedSignature> broken(HeaderField field, Set<String> rewritten) {
        if (!field.name().equalsIgnoreCase(DKIM_SIGNATURE)) {
            return Optional.empty();
        }
        return DkimSignature.read(field.raw().substring(field.raw().indexOf(':') + 1))
                .filter(signature -> isOurs(signature.domain()))
                .flatMap(signature -> rewritten.stream()
                        .filter(signature.fields()::contains)
                        .findFirst()
                        .map(name -> new RewrittenHeader.RemovedSignature(signature.domain(), name)));
    }
}
