/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.certificate.CertificatePin;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.ConnectionLimits;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.testing.TestCertificates;

/** Outbound connectors for tests: plaintext by MX unless told otherwise. */
public final class Connectors {
    private String name = "test";
    private NextHops nextHops = new NextHops.UseMx();
    private TlsRequirement tls = TlsRequirement.of(TlsLevel.NONE);
    private List<Credentials> credentials = List.of();
    private ConnectionLimits limits = ConnectionLimits.DEFAULT;

    private Connectors() {}

    public static Connectors connector() {
        return new Connectors();
    }

    public Connectors name(String connectorName) {
        name = connectorName;
        return this;
    }

    /** The peers, in this order. */
    public Connectors to(ScriptedSmtpPeer... peers) {
        SmartHost[] hosts = new SmartHost[peers.length];
        for (int i = 0; i < peers.length; i++) {
            hosts[i] = new SmartHost(peers[i].address(), peers[i].port(), 10 * (i + 1), 1);
        }
        return to(hosts);
    }

    public Connectors to(SmartHost... hosts) {
        nextHops = new NextHops.SmartHosts(Arrays.asList(hosts));
        return this;
    }

    public Connectors tls(TlsRequirement requirement) {
        tls = requirement;
        return this;
    }

    public Connectors tls(TlsLevel level) {
        return tls(TlsRequirement.of(level));
    }

    public Connectors credentials(Credentials... all) {
        credentials = List.of(all);
        return this;
    }

    public Connectors limits(int connections, int perDestination, int messagesPerConnection, Duration idle) {
        limits = new ConnectionLimits(connections, perDestination, messagesPerConnection, idle);
        return this;
    }

    public OutboundConnector build() {
        OutboundConnector base = OutboundConnector.IMPLIED_INTERNET;
        return new OutboundConnector(
                name,
                true,
                base.type(),
                false,
                Set.of(DomainPattern.ANY),
                Set.of(),
                0,
                nextHops,
                tls,
                credentials,
                limits,
                base.retry(),
                base.internalHeaders(),
                base.location());
    }

    /** Level {@code ca} or {@code domain} with the given authority trusted. */
    public static TlsRequirement trusting(TlsLevel level, TestCertificates.Authority authority) {
        return new TlsRequirement(
                level,
                Optional.empty(),
                new TrustAnchors(Optional.of("file://conf/ca.pem"), List.of(authority.certificate())),
                Set.of(),
                Optional.empty());
    }

    /** Level {@code domain} for a name. */
    public static TlsRequirement named(String pattern, TestCertificates.Authority authority) {
        TlsRequirement base = trusting(TlsLevel.DOMAIN, authority);
        return new TlsRequirement(
                base.level(),
                Optional.of(DomainPattern.parse(pattern)),
                base.trustAnchors(),
                base.pins(),
                base.clientCertificate());
    }

    /** Level {@code pinned}; pins in hexadecimal. */
    public static TlsRequirement pinned(String... pins) {
        TlsRequirement base = TlsRequirement.of(TlsLevel.PINNED);
        Set<CertificatePin> parsed =
                Set.of(Arrays.stream(pins).map(CertificatePin::parse).toArray(CertificatePin[]::new));
        return new TlsRequirement(base.level(), base.name(), base.trustAnchors(), parsed, base.clientCertificate());
    }

    /** The same with a client certificate. */
    public static TlsRequirement presenting(TestCertificates.Issued client, TlsRequirement requirement) {
        return new TlsRequirement(
                requirement.level(),
                requirement.name(),
                requirement.trustAnchors(),
                requirement.pins(),
                Optional.of(new ClientKey("file://conf/gateway.p12#gateway", client.key(), client.chain())));
    }

    /** An address that is known to be good. */
    public static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (javax.mail.internet.AddressException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
