/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.envelope.OriginalRecipient;
import dev.mailflow.policy.envelope.Xtext;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.RecipientLocation;

/** Gives the recipients of a mail the addresses at which they are found. The mail stays one: whoever routes it splits it. */
final class Readdressing {
    private static final Logger LOGGER = LoggerFactory.getLogger(Readdressing.class);
    private static final AttributeName ORIGINALS = AttributeName.of(OriginalRecipient.ATTRIBUTE);

    private final Mail mail;
    private final Map<MailAddress, RecipientLocation> found = new LinkedHashMap<>();

    /**
     * Locates the recipients that the topology is about; nothing is changed yet.
     *
     * @throws DirectoryUnavailableException when one of them cannot be located now
     */
    Readdressing(Mail mail, MailFlowPolicy policy, HybridTopology hybrid, MailboxDirectory directory)
            throws DirectoryUnavailableException {
        this.mail = mail;
        for (MailAddress recipient : mail.getRecipients()) {
            if (hybrid.isShared(recipient.getDomain())
                    || hybrid.remoteRoutingDomain().equals(recipient.getDomain())) {
                found.put(recipient, RecipientLocation.of(policy, recipient, directory));
            }
        }
    }

    /** Where a recipient is; empty when the topology is not about it. */
    Optional<RecipientLocation> of(MailAddress recipient) {
        return Optional.ofNullable(found.get(recipient));
    }

    /** Changes the envelope; what the sender asked to be told of (RFC 3461) is asked of the new addresses. */
    List<MailFlowEvent.Located.Move> apply() {
        List<MailFlowEvent.Located.Move> changes = new ArrayList<>();
        Map<MailAddress, MailAddress> after = new LinkedHashMap<>();
        for (MailAddress recipient : mail.getRecipients()) {
            MailAddress address = of(recipient).map(RecipientLocation::address).orElse(recipient);
            after.put(recipient, address);
            of(recipient)
                    .filter(location -> !address.equals(recipient))
                    .ifPresent(location -> changes.add(new MailFlowEvent.Located.Move(
                            recipient.asString(), address.asString(), location.reason())));
        }
        if (!changes.isEmpty()) {
            mail.setRecipients(new LinkedHashSet<>(after.values()));
            withOriginals(after).ifPresent(mail::setDsnParameters);
        }
        return changes;
    }

    /** Reports keep naming the recipient whom the sender wrote to (RFC 3461 section 4.2). */
    private Optional<DsnParameters> withOriginals(Map<MailAddress, MailAddress> after) {
        DsnParameters.Builder builder = DsnParameters.builder();
        Optional<DsnParameters> asked = mail.dsnParameters();
        asked.flatMap(DsnParameters::getEnvIdParameter).ifPresent(builder::envId);
        asked.flatMap(DsnParameters::getRetParameter).ifPresent(builder::ret);
        Map<String, AttributeValue<?>> foreign = foreignOriginals();
        Map<MailAddress, RecipientDsnParameters> byRecipient = new LinkedHashMap<>();
        after.forEach((recipient, address) -> {
            Optional<RecipientDsnParameters> wanted = asked.flatMap(parameters ->
                    Optional.ofNullable(parameters.getRcptParameters().get(recipient)));
            AttributeValue<?> named = foreign.remove(recipient.asString());
            if (named != null) {
                foreign.putIfAbsent(address.asString(), named);
            }
            Optional<RecipientDsnParameters> kept = recipient.equals(address) || named != null
                    ? wanted
                    : RecipientDsnParameters.of(
                            wanted.flatMap(RecipientDsnParameters::getNotifyParameter),
                            wanted.flatMap(RecipientDsnParameters::getOrcptParameter)
                                    .or(() -> original(recipient)));
            kept.ifPresent(parameters -> byRecipient.putIfAbsent(address, parameters));
        });
        if (!foreign.isEmpty()) {
            mail.setAttribute(new Attribute(ORIGINALS, AttributeValue.of(foreign)));
        }
        byRecipient.forEach(builder::addRcptParameter);
        return builder.build();
    }

    /** As the parameter ORCPT is written: xtext. */
    private static Optional<MailAddress> original(MailAddress recipient) {
        try {
            return Optional.of(new MailAddress(Xtext.encode(recipient.asString())));
        } catch (AddressException e) {
            LOGGER.debug("{} cannot be kept as the original recipient", recipient, e);
            return Optional.empty();
        }
    }

    /** Original recipients that are no mail addresses, by the recipient they were given for. */
    private Map<String, AttributeValue<?>> foreignOriginals() {
        Map<String, AttributeValue<?>> originals = new LinkedHashMap<>();
        AttributeUtils.getAttributeValueFromMail(mail, ORIGINALS)
                .filter(Map.class::isInstance)
                .map(stored -> (Map<?, ?>) stored)
                .ifPresent(stored -> stored.forEach((recipient, value) -> {
                    if (value instanceof AttributeValue<?> original) {
                        originals.put(String.valueOf(recipient), original);
                    }
                }));
        return originals;
    }
}
