/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.net.InetSocketAddress;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

import org.apache.james.core.MaybeSender;
import org.apache.james.core.Username;
import org.apache.james.protocols.api.ProtocolSession.AttachmentKey;
import org.apache.james.protocols.api.ProtocolSession.State;
import org.apache.james.protocols.smtp.SMTPSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.util.concurrent.ThreadFactoryBuilder;
import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.certificate.Revocation;
import dev.mailflow.policy.certificate.X509PeerCertificate;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connector.InboundAttribution;
import dev.mailflow.policy.inbound.ClientSession;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.inbound.TlsSession;

/**
 * The one place that knows where a session keeps what the hooks of this package share. Every hook asks here, whichever
 * of them are configured and in whatever order.
 */
@Singleton
public final class Transactions {
    private static final Logger LOGGER = LoggerFactory.getLogger(Transactions.class);
    private static final AttachmentKey<Transaction> CURRENT =
            AttachmentKey.of("mailflow.transaction", Transaction.class);
    private static final AttachmentKey<String> XOORG = AttachmentKey.of("mailflow.xoorg", String.class);
    private static final AttachmentKey<Boolean> RELAY_GRANTED =
            AttachmentKey.of("mailflow.relayGranted", Boolean.class);
    private static final AttachmentKey<X509PeerCertificate> PEER_CERTIFICATE =
            AttachmentKey.of("mailflow.peerCertificate", X509PeerCertificate.class);

    /** Longer than a responder takes, shorter than clients wait. */
    private static final Duration REVOCATION_PATIENCE = Duration.ofSeconds(3);

    /** For connections that come later. */
    private static final Duration REVOCATION_LIMIT = Duration.ofSeconds(5);

    /** Of which each service has two at most. */
    private static final int REVOCATION_THREADS = 16;

    private final PolicyRepository policies;
    private final Clock clock;
    private final Revocation revocation;
    private final boolean waits;

    /** For handlers that run on an event loop, as those of a stock James do: nothing is waited for. */
    @Inject
    public Transactions(PolicyRepository policies) {
        this(policies, Clock.systemUTC(), Duration.ZERO);
    }

    Transactions(PolicyRepository policies, Clock clock, Duration revocationPatience) {
        this.policies = policies;
        this.clock = clock;
        this.revocation = new Revocation(revocationThreads(), REVOCATION_LIMIT, revocationPatience);
        this.waits = !revocationPatience.isZero();
    }

    /** For handlers that run on threads that may block. */
    public static Transactions mayWait(PolicyRepository policies) {
        return new Transactions(policies, Clock.systemUTC(), REVOCATION_PATIENCE);
    }

    /** Threads that are gone when nobody presents certificates, and that keep no server from stopping. */
    private static Executor revocationThreads() {
        ThreadPoolExecutor threads = new ThreadPoolExecutor(
                REVOCATION_THREADS,
                REVOCATION_THREADS,
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(1_000),
                new ThreadFactoryBuilder()
                        .setNameFormat("mailflow-revocation-%d")
                        .setDaemon(true)
                        .build());
        threads.allowCoreThreadTimeOut(true);
        return threads;
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

    /** The policy in force. */
    MailFlowPolicy policy() {
        return policies.current();
    }

    /** Which organization this session proves to be, before any sender is known. */
    InboundAttribution organization(SMTPSession session) {
        return policies.current().inboundConnectors().attribute(client(session), Optional.empty(), clock.instant());
    }

    /** The client; the address is the one the PROXY header named, if James read one. */
    static IpAddress address(SMTPSession session) {
        return IpAddress.of(session.getRemoteAddress().getAddress());
    }

    /** What travels on the mail of the transaction under way. */
    InboundFacts facts(SMTPSession session) {
        InetSocketAddress remote = session.getRemoteAddress();
        // asks nobody: the name is there if somebody asked before
        Optional<String> name = Optional.of(remote.getHostString())
                .filter(known -> !known.equals(remote.getAddress().getHostAddress()));
        return current(session).facts().withClientName(name);
    }

    private ClientSession client(SMTPSession session) {
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
    private Optional<X509PeerCertificate> peerCertificate(SMTPSession session, SSLSession tls) {
        return session.getAttachment(PEER_CERTIFICATE, State.Connection).or(() -> {
            Optional<X509PeerCertificate> presented = presented(tls);
            presented.ifPresent(certificate -> {
                session.setAttachment(PEER_CERTIFICATE, certificate, State.Connection);
                if (!waits) {
                    askEarly(certificate);
                }
            });
            return presented;
        });
    }

    /** So that the answer may be there at MAIL: EHLO sees the certificate first. */
    private void askEarly(X509PeerCertificate certificate) {
        Instant now = clock.instant();
        policies.current().inboundConnectors().all().stream()
                .flatMap(connector -> connector.clientCertificate().stream())
                .forEach(rule -> LOGGER.debug(
                        "Client certificate {} for {}: {}",
                        certificate,
                        rule.describe(),
                        rule.objectionTo(certificate, now).orElse("no objection yet")));
    }

    private Optional<X509PeerCertificate> presented(SSLSession tls) {
        try {
            Certificate[] chain = tls.getPeerCertificates();
            List<X509Certificate> x509 = Arrays.stream(chain)
                    .filter(X509Certificate.class::isInstance)
                    .map(X509Certificate.class::cast)
                    .toList();
            return x509.isEmpty() ? Optional.empty() : Optional.of(X509PeerCertificate.of(x509, revocation));
        } catch (SSLPeerUnverifiedException e) {
            // how the JDK says that the client presented none
            return Optional.empty();
        }
    }
}
