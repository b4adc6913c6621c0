/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.nio.file.Path;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * Where relays send to: one counting sink, and another behind a {@link TlsFront}, which takes no message without STARTTLS. That
 * each has a sink of its own proves that what was counted went the intended way.
 */
final class NextHops {
    /** What the certificate of the TLS next hop is for. */
    static final String TLS_NAME = "mail.bench.test";

    private final CountingSink plain;
    private final CountingSink behindTls;
    private final int tlsPort;
    private final Path authority;

    private NextHops(CountingSink plain, CountingSink behindTls, int tlsPort, Path authority) {
        this.plain = plain;
        this.behindTls = behindTls;
        this.tlsPort = tlsPort;
        this.authority = authority;
    }

    static NextHops start(Workbench workbench, TlsFront front) {
        CountingSink plain = CountingSink.start(workbench, Transport.PLAIN);
        CountingSink behindTls = CountingSink.start(workbench, Transport.STARTTLS);
        TestCertificates.Authority authority = TestCertificates.authority("Benchmark CA");
        Path pem = TestCertificates.writePem(workbench.directory().resolve("ca.pem"), authority.certificate());
        int tlsPort = front.start(workbench, authority.leaf(TLS_NAME).issue(), behindTls.port());
        return new NextHops(plain, behindTls, tlsPort, pem);
    }

    /** On 127.0.0.1. */
    int port(Transport transport) {
        return switch (transport) {
            case PLAIN -> plain.port();
            case STARTTLS -> tlsPort;
        };
    }

    SinkCounter counter(Transport transport) {
        return switch (transport) {
            case PLAIN -> plain.counter();
            case STARTTLS -> behindTls.counter();
        };
    }

    /** The authority that the TLS next hop's certificate is from, PEM. */
    Path authority() {
        return authority;
    }
}
