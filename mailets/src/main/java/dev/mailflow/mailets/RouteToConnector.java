/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import javax.mail.MessagingException;
import javax.mail.internet.AddressException;
import javax.mail.internet.MimeMessage;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.lifecycle.api.LifecycleUtil;
import org.apache.james.server.core.MailImpl;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeUtils;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.primitives.Ints;
import com.google.inject.Inject;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.delivery.tlsrpt.ReportSettings;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.Route;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.header.InternalHeaderScreen;
import dev.mailflow.policy.header.InternalStatus;
import dev.mailflow.policy.host.OwnHostName;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.RecipientAdmission;
import dev.mailflow.policy.inbound.SmtpReply;
import dev.mailflow.policy.rule.RuleMarks;

/**
 * Sends mail out by outbound connectors: decides the connector of every recipient, puts one copy per connector into
 * that connector's durable queue, and ends the processing of the mail. Exchange's internal headers are demoted for
 * connectors that preserve them and removed for all others, as {@link HeaderFirewall} does.
 *
 * <pre>{@code
 * <mailet match="All" class="dev.mailflow.mailets.RouteToConnector">
 *   <connector>fabrikam-out</connector>    <!-- optional: this one, whatever the recipient; a transport rule's wins -->
 *   <heloName>mx.contoso.com</heloName>    <!-- optional: default is the host's name -->
 *   <trustedResolver>127.0.0.1:53</trustedResolver>  <!-- optional: validates DNSSEC, and is believed -->
 *   <rootTrustAnchors>file://conf/root.key</rootTrustAnchors>  <!-- or: validate here, by these records -->
 *   <tlsReports>true</tlsReports>          <!-- optional: daily reports (RFC 8460) to who asks for them -->
 *   <tlsReportFrom>postmaster@contoso.com</tlsReportFrom>
 *   <tlsReportContact>mailto:tls@contoso.com</tlsReportContact>
 *   <tlsReportOrganization>Contoso</tlsReportOrganization>
 *   <addressPatienceMillis>250</addressPatienceMillis>  <!-- optional: then another address is tried beside it -->
 *   <mxPort>2525</mxPort>                  <!-- optional: port of MX hosts, for test beds; default 25 -->
 * </mailet>
 * }</pre>
 *
 * <p>A connector that is named here and unknown or disabled keeps James from starting. One that goes away later defers
 * its mail. When a queue cannot take its copy, the recipients that are not queued yet go to the {@code error}
 * processor: nobody gets the mail twice, nobody loses it.
 */
public final class RouteToConnector extends GenericMailet {
    private static final Logger LOGGER = LoggerFactory.getLogger(RouteToConnector.class);
    // RFC 8305 section 5
    private static final int DEFAULT_PATIENCE_MILLIS = 250;
    private static final int LEAST_PATIENCE_MILLIS = 10;
    private static final int MOST_PATIENCE_MILLIS = 30_000;
    private static final int HIGHEST_PORT = 65_535;

    private final PolicyRepository policies;
    private final DeliveryService delivery;
    private final MailFlowEvents events;
    private final FileSystem files;
    private Optional<String> named = Optional.empty();
    private Clock clock = Clock.systemUTC();
    private String heloName = "localhost";
    private boolean started;

    @Inject
    public RouteToConnector(
            PolicyRepository policies, DeliveryService delivery, MailFlowEvents events, FileSystem files) {
        this.policies = policies;
        this.delivery = delivery;
        this.events = events;
        this.files = files;
    }

    /** What time delivery goes by, where the server says; by the system's otherwise. */
    @Inject(optional = true)
    void useClock(Clock ofServer) {
        clock = ofServer;
    }

    @Override
    public void init() throws MessagingException {
        named = Optional.ofNullable(getInitParameter("connector")).map(String::trim);
        if (named.isPresent()) {
            Route route = policies.current().outboundConnectors().named(named.get(), parameter());
            if (!(route instanceof Route.Via)) {
                throw new MessagingException(route.reason());
            }
        }
        heloName = Optional.ofNullable(getInitParameter("heloName")).orElseGet(OwnHostName::get);
        DeliveryConfig config = configuration(heloName);
        delivery.start(getMailetContext(), () -> new PooledSmtpTransport(config), heloName);
        started = true;
    }

    private DeliveryConfig configuration(String introducedAs) throws MessagingException {
        DeliveryConfig.Builder config = DeliveryConfig.builder(introducedAs).dnssec(dnssec());
        config.clock(clock).tlsObserver(delivery.tlsMetrics());
        config.addressPatience(Duration.ofMillis(
                number("addressPatienceMillis", DEFAULT_PATIENCE_MILLIS, LEAST_PATIENCE_MILLIS, MOST_PATIENCE_MILLIS)));
        config.mxPort(number("mxPort", SmartHost.DEFAULT_PORT, 1, HIGHEST_PORT));
        try {
            config.stateDirectory(files.getFile("file://var/mailflow").toPath());
        } catch (FileNotFoundException e) {
            LOGGER.warn(
                    "There is no directory file://var/: MTA-STS policies and TLS reports do not outlive a restart", e);
        }
        String wanted = getInitParameter("tlsReports", "true");
        if (!wanted.equals("true") && !wanted.equals("false")) {
            throw new MessagingException("parameter <tlsReports>: found '" + wanted + "', expected true or false");
        }
        if (wanted.equals("true")) {
            MailAddress from = reportSender(introducedAs);
            config.reports(new ReportSettings(
                    getInitParameter("tlsReportOrganization", introducedAs),
                    introducedAs,
                    from,
                    getInitParameter("tlsReportContact", "mailto:" + from.asString()),
                    this::sendReport));
        }
        return config.build();
    }

    private int number(String parameter, int usual, int least, int most) throws MessagingException {
        Optional<String> written =
                Optional.ofNullable(getInitParameter(parameter)).map(String::trim);
        if (written.isEmpty()) {
            return usual;
        }
        return written.map(Ints::tryParse)
                .filter(value -> value >= least && value <= most)
                .orElseThrow(() -> new MessagingException("parameter <" + parameter + ">: found '" + written.get()
                        + "', expected a number from " + least + " to " + most));
    }

    /** The postmaster if nobody is named; a James that has not been told of one knows none yet when mailets start. */
    private MailAddress reportSender(String introducedAs) throws MessagingException {
        String written = Optional.ofNullable(getInitParameter("tlsReportFrom"))
                .or(() ->
                        Optional.ofNullable(getMailetContext().getPostmaster()).map(MailAddress::asString))
                .orElse("postmaster@" + introducedAs);
        try {
            return new MailAddress(written);
        } catch (AddressException e) {
            throw new MessagingException(
                    "parameter <tlsReportFrom>: found '" + written + "', expected a mail address", e);
        }
    }

    /** A report takes the way of all mail, so that it is signed and routed like it. */
    private void sendReport(MailAddress from, MailAddress to, MimeMessage message) throws MessagingException {
        MailImpl mail = MailImpl.builder()
                .name(MailImpl.getId())
                .sender(from)
                .addRecipient(to)
                .mimeMessage(message)
                .build();
        try {
            getMailetContext().sendMail(mail);
        } finally {
            LifecycleUtil.dispose(mail);
        }
    }

    private DeliveryConfig.Dnssec dnssec() throws MessagingException {
        try {
            return DeliveryConfig.Dnssec.of(
                    Optional.ofNullable(getInitParameter("trustedResolver")).map(String::trim),
                    Optional.ofNullable(getInitParameter("rootTrustAnchors")).map(String::trim),
                    url -> Files.readString(files.getFile(url).toPath()));
        } catch (IllegalArgumentException e) {
            throw new MessagingException(e.getMessage(), e);
        }
    }

    private static String parameter() {
        return "parameter <connector> of mailet " + RouteToConnector.class.getName();
    }

    @Override
    public void service(Mail mail) throws MessagingException {
        MailFlowPolicy policy = policies.current();
        List<MailAddress> unqueued = new ArrayList<>(mail.getRecipients());
        String name = mail.getName();
        try {
            List<MailAddress> nowhere = recipientsOfNobody(mail, policy);
            if (!nowhere.isEmpty()) {
                delivery.fail(mail, nowhere, SmtpReply.recipientNotFound().enhancedStatus(), "Recipient not found");
                unqueued.removeAll(nowhere);
                mail.setRecipients(List.copyOf(unqueued));
            }
            Map<String, Copy> copies = decide(mail, policy);
            for (Copy copy : copies.values()) {
                mail.setRecipients(copy.recipients());
                mail.setName(copies.size() == 1 ? name : name + "-to-" + copy.connector());
                enqueue(mail, copy, policy);
                unqueued.removeAll(copy.recipients());
                events.publish(new MailFlowEvent.Routed(
                        new MailFlowEvent.MessageRef(
                                mail.getName(),
                                Optional.ofNullable(mail.getMessage().getMessageID())),
                        copy.connector(),
                        copy.recipients().stream().map(MailAddress::asString).toList(),
                        copy.reason()));
            }
            mail.setState(Mail.GHOST);
        } catch (MessagingException e) {
            // also when a copy cannot be made: an exception that reached James would have the queued copies sent again
            LOGGER.error("Mail {} could not be queued for {}: to the error processor", name, unqueued, e);
            mail.setRecipients(unqueued);
            mail.setErrorMessage("The outgoing queue did not take the mail: " + e.getMessage());
            mail.setState(Mail.ERROR);
        } finally {
            mail.setName(name);
        }
    }

    /**
     * Each copy leaves with the internal headers its connector's peer may see, and no others. To the other premises of a
     * hybrid organization it says how it was submitted.
     */
    private void enqueue(Mail mail, Copy copy, MailFlowPolicy policy) throws MessagingException {
        MimeMessage message = mail.getMessage();
        HeaderSection headers = RawHeaders.of(message);
        Optional<HybridTopology> toCloud = policy.hybrid()
                .filter(hybrid -> hybrid.outboundConnector().equals(copy.connector())
                        && copy.internalHeaders() == InternalHeaders.PRESERVE);
        HeaderSection stamped = toCloud.isPresent()
                ? InternalStatus.stamped(headers, InternalStatus.isInternal(facts(mail), headers), heloName)
                : headers;
        InternalHeaderScreen.Screened screened = InternalHeaderScreen.onDeparture(stamped, copy.internalHeaders());
        if (toCloud.isEmpty() && !screened.isChanged()) {
            delivery.enqueue(mail, copy.connector());
            return;
        }
        Mail screenedCopy = mail.duplicate();
        try {
            screenedCopy.setName(mail.getName());
            toCloud.ifPresent(hybrid -> screenedCopy.setAttribute(new Attribute(
                    DeliveryService.ORGANIZATION,
                    AttributeValue.of(organization(mail, policy, hybrid).asString()))));
            if (!screened.section().equals(headers)) {
                RawHeaders.put(screenedCopy, screened.section(), message);
            }
            delivery.enqueue(screenedCopy, copy.connector());
            if (screened.isChanged()) {
                events.publish(HeaderFirewall.event(mail, "outbound", screened));
            }
        } finally {
            LifecycleUtil.dispose(screenedCopy);
        }
    }

    private static Optional<InboundFacts> facts(Mail mail) {
        return InboundFacts.stampedOn(
                AttributeUtils.getValueAndCastFromMail(mail, AttributeName.of(InboundFacts.ATTRIBUTE), String.class));
    }

    /** The organization that a mail comes from, as the other premises knows it: the sender's domain if it is ours. */
    private static Domain organization(Mail mail, MailFlowPolicy policy, HybridTopology hybrid) {
        return mail.getMaybeSender()
                .asOptional()
                .map(MailAddress::getDomain)
                .filter(policy.acceptedDomains()::contains)
                .orElse(hybrid.sharedDomains().get(0));
    }

    /**
     * Whoever gets here has no mailbox here. In an authoritative domain that means that there is no such recipient: by the
     * default route the mail would come back to us. A connector for the very domain is another matter, and so is one that
     * this mailet or a transport rule names.
     */
    private List<MailAddress> recipientsOfNobody(Mail mail, MailFlowPolicy policy) {
        if (named.isPresent() || MailMarks.get(mail, RuleMarks.ROUTE).isPresent()) {
            return List.of();
        }
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        return mail.getRecipients().stream()
                .filter(recipient -> RecipientAdmission.decide(
                                        policy.acceptedDomains(),
                                        true,
                                        recipient.getDomain(),
                                        RecipientAdmission.Mailbox.UNKNOWN)
                                instanceof RecipientAdmission.Reject
                        && !isNamedByAConnector(
                                policy.outboundConnectors().choose(sender, recipient.getDomain()), recipient))
                .toList();
    }

    private static boolean isNamedByAConnector(Route route, MailAddress recipient) {
        return route instanceof Route.Via via
                && via.connector().recipientDomains().stream()
                        .anyMatch(pattern ->
                                !pattern.equals(DomainPattern.ANY) && pattern.matches(recipient.getDomain()));
    }

    private Map<String, Copy> decide(Mail mail, MailFlowPolicy policy) {
        Optional<MailAddress> sender = mail.getMaybeSender().asOptional();
        // a rule that sends mail through a scrubber must not lose against a line of mailetcontainer.xml
        Optional<Route> ruled = MailMarks.get(mail, RuleMarks.ROUTE).map(connector -> policy.outboundConnectors()
                .named(
                        connector,
                        "transport rule '"
                                + MailMarks.get(mail, RuleMarks.ROUTE_RULE).orElse("") + "'"));
        Map<String, Copy> copies = new LinkedHashMap<>();
        for (MailAddress recipient : mail.getRecipients()) {
            Route route = ruled.or(() ->
                            named.map(connector -> policy.outboundConnectors().named(connector, parameter())))
                    .orElseGet(() -> policy.outboundConnectors().choose(sender, recipient.getDomain()));
            // A connector that is not there has a queue too: its mail waits there, visibly, until it is back.
            String connector =
                    route instanceof Route.Via via ? via.connector().name() : ((Route.NoSuchConnector) route).name();
            InternalHeaders internalHeaders =
                    route instanceof Route.Via via ? via.connector().internalHeaders() : InternalHeaders.STRIP;
            copies.computeIfAbsent(connector, key -> new Copy(key, new ArrayList<>(), route.reason(), internalHeaders))
                    .recipients()
                    .add(recipient);
        }
        return copies;
    }

    @Override
    public void destroy() {
        if (started) {
            started = false;
            delivery.stop();
        }
    }

    @Override
    public String getMailetInfo() {
        return "RouteToConnector: " + named.orElse("one decision per recipient");
    }

    /** One connector's share of a mail; the reason is that of its first recipient. */
    private record Copy(
            String connector, List<MailAddress> recipients, String reason, InternalHeaders internalHeaders) {}
}
