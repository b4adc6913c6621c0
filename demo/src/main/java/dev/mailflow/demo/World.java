/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

import org.xbill.DNS.Lookup;
import org.xbill.DNS.MXRecord;
import org.xbill.DNS.Name;
import org.xbill.DNS.Record;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.Type;

import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.policy.testing.TestCertificates;

/**
 * The small Internet of the demonstration: hosts on loopback addresses of their own, one port for SMTP on all of them,
 * a name server that knows them, and one certificate authority. Nothing here leaves the loopback interface.
 */
final class World implements AutoCloseable {
    static final String SHARED = "contoso.example";
    static final String REMOTE_ROUTING = "contoso.cloud.example";
    static final String INTERNET = "example.net";
    static final String PARTNER = "fabrikam.example";

    static final Host GATEWAY = new Host("mail.contoso.example", "127.0.0.10");
    static final Host CLOUD = new Host("eu1.mail.cloud.example", "127.0.0.20");
    static final Host NET = new Host("mx.example.net", "127.0.0.30");
    static final Host FABRIKAM = new Host("mx.fabrikam.example", "127.0.0.40");
    static final Host SCRUBBER = new Host("scrubber.contoso.example", "127.0.0.50");
    static final List<Host> HOSTS = List.of(GATEWAY, CLOUD, NET, FABRIKAM, SCRUBBER);

    private static final int ATTEMPTS = 50;

    private final TestCertificates.Authority authority = TestCertificates.authority("Demonstration CA");
    private final int port;
    private final LocalDns dns;
    private final Resolver resolver;
    private final Map<String, String> handedOver = new ConcurrentHashMap<>();

    /** A host of the demonstration. */
    record Host(String name, String address) {}

    World() throws IOException {
        this.port = freePort();
        this.dns = LocalDns.start();
        this.resolver = dns.resolver();
        HOSTS.forEach(host -> dns.a(host.name(), host.address()));
        dns.mx(INTERNET, 10, NET.name());
        dns.mx(PARTNER, 10, FABRIKAM.name());
        // whoever asks the DNS in this process asks here
        Lookup.setDefaultResolver(resolver);
    }

    /** One that is free on every address, so that MX records, which have no port, lead everywhere. */
    private static int freePort() throws IOException {
        for (int i = 0; i < ATTEMPTS; i++) {
            int candidate;
            try (ServerSocket any = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                candidate = any.getLocalPort();
            }
            if (isFree(candidate)) {
                return candidate;
            }
        }
        throw new IOException("found no port that is free on "
                + HOSTS.stream().map(Host::address).toList()
                + "; expected addresses of the loopback interface (Linux has all of 127.0.0.0/8)");
    }

    private static boolean isFree(int port) {
        for (Host host : HOSTS) {
            try (ServerSocket probe = new ServerSocket()) {
                probe.bind(new InetSocketAddress(host.address(), port));
            } catch (IOException e) {
                return false;
            }
        }
        return true;
    }

    int port() {
        return port;
    }

    int dnsPort() {
        return dns.port();
    }

    TestCertificates.Authority authority() {
        return authority;
    }

    InetSocketAddress address(Host host) {
        return new InetSocketAddress(host.address(), port);
    }

    Courier.Hop hop(Host host) {
        return new Courier.Hop(host.name(), host.address(), port);
    }

    /** The MX record of the shared domain. */
    void mxOfSharedDomain(Host host) {
        dns.replaceMx(SHARED, 10, host.name());
    }

    /** Remembers by what TLS a message was handed to the gateway last. */
    void reachedGateway(String subject, String protocol) {
        handedOver.put(subject, protocol);
    }

    /** By what TLS a message was handed to the gateway last; empty: it was not. */
    Optional<String> handedOver(String subject) {
        return Optional.ofNullable(handedOver.get(subject));
    }

    /** The best MX host of a domain, asked of the name server. */
    Host mx(String domain) throws IOException {
        Lookup lookup = new Lookup(Name.fromString(domain, Name.root), Type.MX);
        lookup.setResolver(resolver);
        lookup.setCache(null);
        Record[] records = Optional.ofNullable(lookup.run()).orElse(new Record[0]);
        List<MXRecord> found = new ArrayList<>();
        for (Record each : records) {
            found.add((MXRecord) each);
        }
        return found.stream()
                .map(record -> record.getTarget().toString(true))
                .flatMap(name -> HOSTS.stream().filter(host -> host.name().equals(name)))
                .findFirst()
                .orElseThrow(() -> new IOException("domain " + domain + " has no MX record"));
    }

    /** TLS for a host: its certificate for both roles, and the one authority that is trusted. */
    SSLContext tls(Host host) {
        return tls(Optional.of(authority.leaf(host.name()).issue()));
    }

    /** TLS for a client without a certificate. */
    SSLContext tlsWithoutCertificate() {
        return tls(Optional.empty());
    }

    private SSLContext tls(Optional<TestCertificates.Issued> certificate) {
        try {
            KeyManager[] keys = new KeyManager[0];
            if (certificate.isPresent()) {
                KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
                factory.init(certificate.get().keyStore("host"), TestCertificates.PASSWORD.toCharArray());
                keys = factory.getKeyManagers();
            }
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys, trust(authority.certificate()).getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static TrustManagerFactory trust(X509Certificate anchor) throws GeneralSecurityException {
        try {
            KeyStore anchors = KeyStore.getInstance("PKCS12");
            anchors.load(null, null);
            anchors.setCertificateEntry("ca", anchor);
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(anchors);
            return trust;
        } catch (IOException e) {
            throw new GeneralSecurityException(e);
        }
    }

    @Override
    public void close() {
        dns.close();
    }
}
