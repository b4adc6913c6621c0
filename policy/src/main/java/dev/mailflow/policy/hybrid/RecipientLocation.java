/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import java.util.Optional;

import javax.mail.internet.AddressException;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.domain.AcceptedDomain;

/**
 * Where a recipient's mailbox is, and by which address the mail gets there (mail-flow behaviour, section 7). An address
 * with a detail ({@code joe+list@contoso.com}, RFC 5233) that the directory does not know as such is where {@code joe} is;
 * on the way to the cloud it keeps its detail.
 */
public sealed interface RecipientLocation {

    /** The address the mail goes to. */
    MailAddress address();

    /** One clause for people. */
    String reason();

    /** Here. */
    record Local(MailAddress address, String reason) implements RecipientLocation {}

    /** In the cloud; the address is one that the cloud knows as its own. */
    record Cloud(MailAddress address, String reason) implements RecipientLocation {}

    /** With somebody else. */
    record Remote(MailAddress address, String reason) implements RecipientLocation {}

    /** Nowhere, as far as anybody knows; what becomes of it depends on the type of the accepted domain. */
    record Unknown(MailAddress address, String reason) implements RecipientLocation {}

    /**
     * Locates one recipient.
     *
     * @param recipient after inbound rewriting
     * @param directory asked only for addresses in accepted domains that can have mailboxes
     * @throws DirectoryUnavailableException when it depends on the directory and that cannot be asked
     */
    static RecipientLocation of(MailFlowPolicy policy, MailAddress recipient, MailboxDirectory directory)
            throws DirectoryUnavailableException {
        Domain domain = recipient.getDomain();
        Optional<HybridTopology> hybrid = policy.hybrid();
        if (hybrid.isPresent() && hybrid.get().remoteRoutingDomain().equals(domain)) {
            return new Cloud(recipient, domain.asString() + " is the remote routing domain");
        }
        Optional<AcceptedDomain> accepted = policy.acceptedDomains().find(domain);
        if (accepted.isEmpty()) {
            return new Remote(recipient, domain.asString() + " is not an accepted domain");
        }
        String kind = accepted.get().type() + " domain " + accepted.get().pattern();
        if (accepted.get().type() == AcceptedDomain.Type.EXTERNAL_RELAY) {
            return new Remote(recipient, kind);
        }
        Optional<HybridTopology> shared = hybrid.filter(topology -> topology.isShared(domain));
        MailboxPlace place = directory.find(recipient);
        if (place instanceof MailboxPlace.Nowhere) {
            Optional<Detailed> detailed = Detailed.of(recipient);
            if (shared.isPresent() && detailed.isPresent()) {
                MailboxPlace ofMailbox = directory.find(detailed.get().mailbox());
                if (!(ofMailbox instanceof MailboxPlace.Nowhere)) {
                    return known(
                            ofMailbox, detailed.get().mailbox(), detailed.get().detail(), hybrid, kind);
                }
            }
            return shared.isPresent() && accepted.get().type() == AcceptedDomain.Type.INTERNAL_RELAY
                    ? new Cloud(
                            with(recipient.getLocalPart(), shared.get().remoteRoutingDomain()),
                            "shared " + kind + ", unknown here means in the cloud: " + place.reason())
                    : new Unknown(recipient, kind + ", no such recipient: " + place.reason());
        }
        return known(place, recipient, "", hybrid, kind);
    }

    private static RecipientLocation known(
            MailboxPlace place, MailAddress mailbox, String detail, Optional<HybridTopology> hybrid, String kind) {
        String reason = kind + ", " + place.reason();
        if (!(place instanceof MailboxPlace.Away away)) {
            return new Local(mailbox, reason);
        }
        if (away.target().isEmpty() && hybrid.isEmpty()) {
            return new Unknown(mailbox, reason + ", but the policy has no hybrid section");
        }
        MailAddress target = away.target()
                .orElseGet(
                        () -> with(mailbox.getLocalPart(), hybrid.orElseThrow().remoteRoutingDomain()));
        MailAddress address = with(target.getLocalPart() + detail, target.getDomain());
        return hybrid.filter(topology -> topology.remoteRoutingDomain().equals(target.getDomain()))
                        .isPresent()
                ? new Cloud(address, reason)
                : new Remote(address, reason);
    }

    private static MailAddress with(String localPart, Domain domain) {
        try {
            return new MailAddress(localPart, domain.asString());
        } catch (AddressException e) {
            throw new IllegalArgumentException(
                    "'" + localPart + "' cannot stand before @" + domain.asString() + ": " + e.getMessage(), e);
        }
    }

    /**
     * An address taken apart at its first plus sign.
     *
     * @param mailbox without the detail
     * @param detail with the plus sign
     */
    record Detailed(MailAddress mailbox, String detail) {

        /** Empty when there is no detail to take off. */
        static Optional<Detailed> of(MailAddress address) {
            int plus = address.getLocalPart().indexOf('+');
            if (plus <= 0 || address.getLocalPart().startsWith("\"")) {
                return Optional.empty();
            }
            return Optional.of(new Detailed(
                    with(address.getLocalPart().substring(0, plus), address.getDomain()),
                    address.getLocalPart().substring(plus)));
        }
    }
}
