/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.List;
import java.util.Optional;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.core.MaybeSender;
import org.apache.james.protocols.api.ProtocolSessionImpl;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.MailHook;

import com.google.inject.Inject;

import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.SmtpReply;

/**
 * Refuses at MAIL the clients that {@code <connectionFilter>} blocks and does not allow: not earlier, because the PROXY
 * header must have been read and because entries may be for one sender domain.
 *
 * <pre>{@code
 * <handler class="dev.mailflow.hooks.ConnectionFilterHook">
 *   <proxies>192.0.2.1, 2001:db8::/64</proxies>   <!-- optional, for proxyRequired in a stock James -->
 * </handler>
 * }</pre>
 *
 * <p>With {@code proxies}, a session whose address comes from a PROXY header is refused unless its real peer is one of
 * them. James's own {@code proxyRequired} believes anybody who can connect.
 *
 * <p>The client sees {@code 550 5.7.1 Service unavailable, client host [IP] blocked by connection filter}; the event
 * names the entry that decided.
 */
public final class ConnectionFilterHook extends DoorHandler implements MailHook {
    private Optional<IpRangeSet> proxies = Optional.empty();

    @Inject
    public ConnectionFilterHook(Transactions transactions, MailFlowEvents events) {
        super(transactions, events);
    }

    @Override
    public void init(Configuration configuration) throws ConfigurationException {
        IpRangeSet configured = IpRangeSet.of(
                Parameters.of(getClass(), configuration, List.of("proxies")).ranges("proxies"));
        proxies = Optional.of(configured).filter(ranges -> !ranges.isEmpty());
    }

    @Override
    public HookResult doMail(SMTPSession session, MaybeSender sender) {
        Optional<IpAddress> forger = proxies.flatMap(trusted -> forger(session, trusted));
        if (forger.isPresent()) {
            return refuse(
                    session,
                    "proxy",
                    SmtpReply.notAConfiguredProxy(forger.get()),
                    forger.get() + " sent a PROXY header and is not one of the proxies of this handler",
                    Optional.empty());
        }
        Transaction transaction = transactions().current(session);
        return transaction.verdict().kind() == ConnectionVerdict.Kind.BLOCK
                ? refuse(
                        session,
                        "connectionFilter",
                        ConnectionFilter.refusal(transaction.client().clientIp()),
                        transaction.verdict().reason(),
                        Optional.empty())
                : HookResult.DECLINED;
    }

    private static Optional<IpAddress> forger(SMTPSession session, IpRangeSet trusted) {
        return Optional.of(session)
                .filter(ProtocolSessionImpl.class::isInstance)
                .map(known ->
                        ((ProtocolSessionImpl) known).getProtocolTransport().getRemoteAddress())
                // getProxyInformation() throws when there is none
                .filter(peer -> !peer.equals(session.getRemoteAddress()))
                .map(peer -> IpAddress.of(peer.getAddress()))
                .filter(peer -> !trusted.contains(peer));
    }
}
