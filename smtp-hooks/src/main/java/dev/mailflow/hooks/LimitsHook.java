/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.api.handler.DisconnectHandler;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.MailHook;
import org.apache.james.protocols.smtp.hook.RcptHook;

import com.google.common.base.Ticker;
import com.google.inject.Inject;

import dev.mailflow.hooks.limit.ConnectionSlots;
import dev.mailflow.hooks.limit.Limits;
import dev.mailflow.hooks.limit.TokenBuckets;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Slows down clients that send too much: at the same time, or per minute. An IPv6 client is its /64, for that is what one
 * customer has. Users who authenticated are not limited, and organization connectors are not unless told otherwise. A
 * connector with limits of its own is counted as one, whichever of its clients sends, instead of by client.
 *
 * <pre>{@code
 * <handler class="dev.mailflow.hooks.LimitsHook">
 *   <connections>20</connections>                     <!-- each: no limit when absent -->
 *   <messagesPerMinute>60</messagesPerMinute>
 *   <recipientsPerMinute>600</recipientsPerMinute>
 *   <exemptOrganizations>true</exemptOrganizations>   <!-- the default -->
 *   <connector name="fabrikam-in"><messagesPerMinute>1000</messagesPerMinute></connector>
 * </handler>
 * }</pre>
 *
 * <p>Limits are counted for each {@code <smtpserver>}. Connections count from their first MAIL, when it is known who
 * sends. The client sees {@code 421 4.7.0 Too many connections…} and is disconnected, or {@code 450 4.7.1 Too many
 * messages…} or {@code …recipients…}, and tries again later.
 */
public final class LimitsHook extends DoorHandler implements MailHook, RcptHook, DisconnectHandler<SMTPSession> {
    private static final String STAGE = "limits";
    private static final AttachmentKey<HeldSlot> SLOT = AttachmentKey.of("mailflow.connectionSlot", HeldSlot.class);

    private static final List<String> LIMITS = List.of("connections", "messagesPerMinute", "recipientsPerMinute");

    private final Ticker ticker;
    private Enforced perClient = Enforced.of(Limits.NONE, Ticker.systemTicker());
    private Map<String, Enforced> perConnector = Map.of();
    private boolean exemptOrganizations = true;

    @Inject
    public LimitsHook(Transactions transactions, MailFlowEvents events) {
        this(transactions, events, Ticker.systemTicker());
    }

    LimitsHook(Transactions transactions, MailFlowEvents events, Ticker ticker) {
        super(transactions, events);
        this.ticker = ticker;
    }

    @Override
    public void init(Configuration configuration) throws ConfigurationException {
        Parameters parameters = Parameters.of(
                getClass(),
                configuration,
                Stream.concat(LIMITS.stream(), Stream.of("exemptOrganizations", "connector"))
                        .toList());
        perClient = Enforced.of(limits(parameters), ticker);
        exemptOrganizations = parameters.flag("exemptOrganizations", true);
        Map<String, Enforced> connectors = new HashMap<>();
        if (configuration instanceof HierarchicalConfiguration<?> tree) {
            for (HierarchicalConfiguration<?> connector : tree.configurationsAt("connector")) {
                String name = connector.getString("[@name]", "").trim();
                if (name.isEmpty()) {
                    throw parameters.wrong("connector", "no name", "name=\"…\" of an inbound connector");
                }
                InboundConnectors known = transactions().policy().inboundConnectors();
                if (known.find(name).isEmpty()) {
                    throw parameters.wrong(
                            "connector",
                            name,
                            "the name of an inbound connector of the policy ("
                                    + known.all().stream()
                                            .map(InboundConnector::name)
                                            .collect(Collectors.joining(", "))
                                    + ")");
                }
                Limits own = limits(Parameters.of(getClass(), connector, LIMITS));
                if (connectors.put(name, Enforced.of(own, ticker)) != null) {
                    throw parameters.wrong("connector", name + "x", "one for each connector");
                }
            }
        }
        perConnector = Map.copyOf(connectors);
    }

    private static Limits limits(Parameters parameters) throws ConfigurationException {
        return new Limits(
                parameters.positive("connections"),
                parameters.positive("messagesPerMinute"),
                parameters.positive("recipientsPerMinute"));
    }

    @Override
    public HookResult doMail(SMTPSession session, MaybeSender sender) {
        Optional<Counted> counted = counted(session);
        if (counted.isEmpty()) {
            return HookResult.DECLINED;
        }
        IpAddress client = Transactions.address(session);
        if (!holdSlot(session, counted.get())) {
            return refuse(
                    session, SmtpReply.tooManyConnections(client), "connections", counted.get(), Optional.empty());
        }
        return counted.get().mayTake(counted.get().limits().messages())
                ? HookResult.DECLINED
                : refuse(
                        session,
                        SmtpReply.tooManyMessages(client),
                        "messagesPerMinute",
                        counted.get(),
                        Optional.empty());
    }

    @Override
    public HookResult doRcpt(SMTPSession session, MaybeSender sender, MailAddress recipient) {
        return counted(session)
                .filter(counted -> !counted.mayTake(counted.limits().recipients()))
                .map(counted -> refuse(
                        session,
                        SmtpReply.tooManyRecipients(Transactions.address(session)),
                        "recipientsPerMinute",
                        counted,
                        Optional.of(recipient)))
                .orElse(HookResult.DECLINED);
    }

    @Override
    public void onDisconnect(SMTPSession session) {
        // James has no session when the connection failed before its greeting
        Optional.ofNullable(session)
                .flatMap(known -> known.removeAttachment(SLOT, State.Connection))
                .ifPresent(HeldSlot::release);
    }

    private HookResult refuse(
            SMTPSession session, SmtpReply reply, String limit, Counted counted, Optional<MailAddress> recipient) {
        return refuse(session, STAGE, reply, "limit <" + limit + "> of " + counted.who() + " reached", recipient);
    }

    /** Whose limits count for this transaction; empty: nobody's. */
    private Optional<Counted> counted(SMTPSession session) {
        if (session.getUsername() != null) {
            return Optional.empty();
        }
        Transaction transaction = transactions().current(session);
        Optional<InboundConnector> connector = transaction.attribution().connector();
        Optional<Counted> ofConnector = connector
                .map(InboundConnector::name)
                .filter(perConnector::containsKey)
                .map(name -> new Counted("connector '" + name + "'", perConnector.get(name)));
        if (ofConnector.isPresent()) {
            return ofConnector;
        }
        boolean exempt = exemptOrganizations
                && connector
                        .filter(known -> known.type() == ConnectorType.ORGANIZATION)
                        .isPresent();
        return exempt
                ? Optional.empty()
                : Optional.of(new Counted(client(transaction.client().clientIp()), perClient));
    }

    private static String client(IpAddress address) {
        return address.isIpv4() ? "client " + address : "client " + new IpAddress(address.high(), 0) + "/64";
    }

    private static boolean holdSlot(SMTPSession session, Counted counted) {
        Optional<HeldSlot> held = session.getAttachment(SLOT, State.Connection);
        if (counted.limits().connections().isEmpty()
                || held.filter(slot -> slot.who().equals(counted.who())).isPresent()) {
            return true;
        }
        ConnectionSlots<String> slots = counted.limits().connections().get();
        if (!slots.tryTake(counted.who())) {
            return false;
        }
        held.ifPresent(HeldSlot::release);
        session.setAttachment(SLOT, new HeldSlot(slots, counted.who()), State.Connection);
        return true;
    }

    /** Limits with what was used of them. */
    private record Enforced(
            Optional<ConnectionSlots<String>> connections,
            Optional<TokenBuckets<String>> messages,
            Optional<TokenBuckets<String>> recipients) {

        static Enforced of(Limits limits, Ticker ticker) {
            return new Enforced(
                    limits.connections().map(ConnectionSlots::new),
                    limits.messagesPerMinute().map(perMinute -> new TokenBuckets<>(perMinute, ticker)),
                    limits.recipientsPerMinute().map(perMinute -> new TokenBuckets<>(perMinute, ticker)));
        }
    }

    private record Counted(String who, Enforced limits) {
        boolean mayTake(Optional<TokenBuckets<String>> buckets) {
            return buckets.map(bucket -> bucket.tryTake(who)).orElse(true);
        }
    }

    private record HeldSlot(ConnectionSlots<String> slots, String who) {
        void release() {
            slots.release(who);
        }
    }
}
