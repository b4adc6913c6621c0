/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.explain;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rewrite.AddressRewriter;
import dev.mailflow.policy.rewrite.Direction;
import dev.mailflow.policy.rewrite.Rewrite;
import dev.mailflow.policy.rewrite.RewrittenHeader;

/** The address rewriting of a message that nobody sent: inbound on arrival, outbound for what leaves. */
final class DryRewriting {
    /** Nobody's: a hypothetical message was not made by this server. */
    private static final String NO_ADDRESS = "0.0.0.0";

    private final HypotheticalMessage message;
    private final Optional<AddressRewriter> inbound;
    private final Optional<AddressRewriter> outbound;
    private final Optional<MailAddress> senderOutside;
    private final List<String> arrivalReasons = new ArrayList<>();
    private final List<String> departureReasons = new ArrayList<>();
    private final Map<String, Optional<String>> arrivalHeaders = new LinkedHashMap<>();
    private final Map<String, Optional<String>> departureHeaders = new LinkedHashMap<>();

    private final HeaderSection arrived;

    /** @param arriving the message's header after the header firewall */
    DryRewriting(MailFlowPolicy policy, HypotheticalMessage message, HeaderSection arriving, Origin origin) {
        this.message = message;
        this.inbound = rewriter(policy, Direction.INBOUND, origin);
        this.outbound = rewriter(policy, Direction.OUTBOUND, origin);
        this.arrived = inbound.map(rewriter -> headers(rewriter, arriving, arrivalHeaders, arrivalReasons))
                .orElse(arriving);
        this.senderOutside = outbound.flatMap(rewriter -> message.sender()
                        .map(sender -> envelope(rewriter, sender, "envelope sender ", departureReasons)))
                .or(message::sender);
    }

    /** The header as transport rules see it. */
    HeaderSection arrived() {
        return arrived;
    }

    /** Rewrites what leaves, as the transport rules left it. */
    void depart(HeaderSection ruled) {
        outbound.ifPresent(rewriter -> headers(rewriter, ruled, departureHeaders, departureReasons));
    }

    private Optional<AddressRewriter> rewriter(MailFlowPolicy policy, Direction direction, Origin origin) {
        AddressRewriter rewriter = new AddressRewriter(policy, direction);
        return rewriter.scope(Optional.of(origin), message.sender(), NO_ADDRESS).applies()
                ? Optional.of(rewriter)
                : Optional.empty();
    }

    private static MailAddress envelope(
            AddressRewriter rewriter, MailAddress address, String what, List<String> reasons) {
        Rewrite rewrite = rewriter.rewrite(address, Set.of());
        if (!(rewrite instanceof Rewrite.Changed changed)) {
            return address;
        }
        Optional<MailAddress> after = AddressRewriter.envelopeAddress(changed);
        reasons.add(what + rewrite.reason() + (after.isEmpty() ? ", which James cannot put into an envelope" : ""));
        return after.orElse(address);
    }

    private static HeaderSection headers(
            AddressRewriter rewriter,
            HeaderSection section,
            Map<String, Optional<String>> changed,
            List<String> reasons) {
        RewrittenHeader after = rewriter.rewrite(section, Set.of());
        for (RewrittenHeader.FieldChange change : after.changes()) {
            changed.merge(
                    change.name(),
                    Optional.of(value(change.after())),
                    (first, second) -> Optional.of(first.orElse("") + ", " + second.orElse("")));
            change.rewrites().forEach(rewrite -> reasons.add("header " + change.name() + ": " + rewrite.reason()));
        }
        after.unreadable()
                .forEach(field -> reasons.add("header " + field.name() + " is left as it is: " + field.reason()));
        after.removedSignatures().forEach(signature -> {
            changed.put("DKIM-Signature", Optional.empty());
            reasons.add(
                    "header DKIM-Signature of " + signature.domain() + " is removed: it covered " + signature.field());
        });
        return after.section();
    }

    static String value(HeaderField field) {
        String raw = field.raw().substring(field.raw().indexOf(':') + 1);
        return new String(raw.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8)
                .replaceAll("\r?\n(?=[ \t])", "")
                .strip();
    }

    /** The recipient that is validated and routed. */
    MailAddress recipient(MailAddress original) {
        return inbound.map(rewriter -> envelope(rewriter, original, "envelope recipient ", new ArrayList<>()))
                .orElse(original);
    }

    /** Why, as the beginning of a recipient's reason; empty when it is not rewritten. */
    String recipientReason(MailAddress original) {
        List<String> reasons = new ArrayList<>();
        inbound.ifPresent(rewriter -> envelope(rewriter, original, "", reasons));
        return reasons.isEmpty() ? "" : String.join("; ", reasons) + "; ";
    }

    /** The envelope sender of what leaves. */
    Optional<MailAddress> senderOutside() {
        return senderOutside;
    }

    /** Rewritten headers by name: of what leaves, or of what stays. */
    Map<String, Optional<String>> headers(boolean leaves) {
        Map<String, Optional<String>> all = new LinkedHashMap<>(arrivalHeaders);
        if (leaves) {
            all.putAll(departureHeaders);
        }
        return all;
    }

    boolean changesOnDeparture(String header) {
        return departureHeaders.containsKey(header);
    }

    List<String> reasons(boolean leaves) {
        List<String> all = new ArrayList<>(arrivalReasons);
        if (leaves) {
            all.addAll(departureReasons);
        }
        return all;
    }
}
