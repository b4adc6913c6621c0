/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.Mail;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.policy.envelope.Xtext;

/** What the sender of a mail asked to be told of (RFC 3461), when recipients get other addresses. */
final class WishesOfSender {
    private static final Logger LOGGER = LoggerFactory.getLogger(WishesOfSender.class);

    private WishesOfSender() {}

    /**
     * Asks the same of the new addresses. Reports keep naming the recipient whom the sender wrote to (section 4.2).
     *
     * @param after the new addresses by the old ones, of all recipients
     */
    static void follow(Mail mail, Map<MailAddress, MailAddress> after) {
        withOriginals(mail, after).ifPresent(mail::setDsnParameters);
    }

    private static Optional<DsnParameters> withOriginals(Mail mail, Map<MailAddress, MailAddress> after) {
        DsnParameters.Builder builder = DsnParameters.builder();
        Optional<DsnParameters> asked = mail.dsnParameters();
        asked.flatMap(DsnParameters::getEnvIdParameter).ifPresent(builder::envId);
        asked.flatMap(DsnParameters::getRetParameter).ifPresent(builder::ret);
        Map<MailAddress, RecipientDsnParameters> byRecipient = new LinkedHashMap<>();
        after.forEach((recipient, address) -> {
            Optional<RecipientDsnParameters> wanted = asked.flatMap(parameters ->
                    Optional.ofNullable(parameters.getRcptParameters().get(recipient)));
            Optional<RecipientDsnParameters> kept = recipient.equals(address)
                    ? wanted
                    : RecipientDsnParameters.of(
                            wanted.flatMap(RecipientDsnParameters::getNotifyParameter),
                            wanted.flatMap(RecipientDsnParameters::getOrcptParameter)
                                    .or(() -> original(recipient)));
            kept.ifPresent(parameters -> byRecipient.putIfAbsent(address, parameters));
        });
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
}
