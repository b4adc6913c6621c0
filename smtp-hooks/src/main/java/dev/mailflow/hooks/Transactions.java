/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

import org.apache.james.core.MaybeSender;
import org.apache.james.core.Username;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.smtp.SMTPSession;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.TlsSession;

/**
 * The one place that knows where a session keeps what the hooks of this package share. Every hook asks here, whichever
 * of them are configured and in whatever order.
 */
@Singleton
public final class Transactions {
    private static final AttachmentKey<Transaction> CURRENT =
            AttachmentKey.of("mailflow.transaction", Transaction.class);
    private static final AttachmentKey<String> XOORG = AttachmentKey.of("mailflow.xoorg", String.class);
    private static final AttachmentKey<Boolean> RELAY_GRANTED =
            AttachmentKey.of("mailflow.relayGranted", Boolean.class);
    private static final AttachmentKey<X509PeerCertificate> PEER_CERTIFICATE =
            AttachmentKey.of("mailflow.peerCertificate", X509PeerCertificate.class);

    private final PolicyRepository policies;
    private final Clock clock;

    @Inject
    public Transactions(PolicyRepository policies) {
        this(policies, Clock.systemUTC());
    }

    Transactions(PolicyRepository policies, Clock clock) {
        this.policies = policies;
        this.clock = clock;
    }

    /** The transaction under way; judged now by the policy in force if no hook asked before. */
    Transaction current(SMTPSession session) {
        return session.getAttachment(CURRENT, State.Transaction).orElseGet(() -> {
            MaybeSender sender =
                    session.getAttachment(SMTPSession.SENDER, State.Transaction).orElse(MaybeSender.nullSender());
            Transaction begun = new Transaction(policies.current(), client(session), sender, clock.instant());
            session.setAttachment(CURRENT, begun, State.Transaction);
            return begun;
        });
    }

    /**
     * Forgets the transaction and takes back the right to relay that came with it. James itself forgets on RSET and EHLO
     * but not when a second MAIL ends a transaction with an error, and it never forgets a right.
     */
    void end(SMTPSession session) {
        session.removeAttachment(CURRENT, State.Transaction);
        session.removeAttachment(XOORG, State.Transaction);
        if (session.removeAttachment(RELAY_GRANTED, State.Connection).isPresent() && session.getUsername() == null) {
            session.setRelayingAllowed(false);
        }
    }

    /** Forgets recipients that James kept from a transaction that ended with an error: they were not admitted for this one. */
    void forgetRecipients(SMTPSession session) {
        session.removeAttachment(SMTPSession.RCPT_LIST, State.Transaction);
    }

    /** Lets this session relay until its transaction ends; a right it has from elsewhere stays what it is. */
    void grantRelay(SMTPSession session) {
        if (!session.isRelayingAllowed()) {
            session.setRelayingAllowed(true);
            session.setAttachment(RELAY_GRANTED, true, State.Connection);
        }
    }

    void rememberXoorg(SMTPSession session, String domain) {
        session.setAttachment(XOORG, domain, State.Transaction);
    }

    /** Which organization this session proves to be, before any sender is known. */
    InboundAttribution organization(SMTPSession session) {
        return policies.current().inboundConnectors().attribute(client(session), Optional.empty(), clock.instant());
    }

    /** The client; the address is the one the PROXY header named, if James read one. */
    static IpAddress address(SMTPSession session) {
        return IpAddress.of(session.getRemoteAddress().getAddress());
    }

    private static ClientSession client(SMTPSession session) {
        Optional<SSLSession> tls = session.getSSLSession();
        return new ClientSession(
                address(session),
                session.getAttachment(SMTPSession.CURRENT_HELO_NAME, State.Connection),
                tls.map(secured -> new TlsSession(secured.getProtocol(), secured.getCipherSuite())),
                tls.flatMap(secured -> peerCertificate(session, secured)).map(certificate -> certificate),
                Optional.ofNullable(session.getUsername()).map(Username::asString),
                session.getAttachment(XOORG, State.Transaction));
    }

    /** Kept for the connection: it remembers its PKIX verdicts. */
    private static Optional<X509PeerCertificate> peerCertificate(SMTPSession session, SSLSession tls) {
        return session.getAttachment(PEER_CERTIFICATE, State.Connection).or(() -> {
            Optional<X509PeerCertificate> presented = presented(tls);
            presented.ifPresent(certificate -> session.setAttachment(PEER_CERTIFICATE, certificate, State.Connection));
            return presented;
        });
    }

    private static Optional<X509PeerCertificate> presented(SSLSession tls) {
        try {
            Certificate[] chain = tls.getPeerCertificates();
            List<X509Certificate> x509 = Arrays.stream(chain)
                    .filter(X509Certificate.class::isInstance)
                    .map(X509Certificate.class::cast)
                    .toList();
            return x509.isEmpty() ? Optional.empty() : Optional.of(X509PeerCertificate.of(x509));
        } catch (SSLPeerUnverifiedException e) {
            // how the JDK says that the client presented none
            return Optional.empty();
        }
    }
}
