/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * Where relays send to: one counting sink, and another behind stunnel, which takes no message without STARTTLS. That
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

    static NextHops start(Workbench workbench) {
        CountingSink plain = CountingSink.start(workbench, Transport.PLAIN);
        CountingSink behindTls = CountingSink.start(workbench, Transport.STARTTLS);
        TestCertificates.Authority authority = TestCertificates.authority("Benchmark CA");
        TestCertificates.Issued certificate = authority.leaf(TLS_NAME).issue();
        Path directory = workbench.directory("stunnel");
        Path ca = TestCertificates.writePem(directory.resolve("ca.pem"), authority.certificate());
        int tlsPort = LoopbackPorts.free();
        Path configuration = directory.resolve("stunnel.conf");
        try {
            Files.writeString(
                    configuration,
                    """
                    foreground = yes
                    pid =
                    debug = warning
                    [smtp]
                    protocol = smtp
                    accept = 127.0.0.1:%d
                    connect = 127.0.0.1:%d
                    cert = %s
                    key = %s
                    TIMEOUTclose = 0
                    """
                            .formatted(
                                    tlsPort,
                                    behindTls.port(),
                                    certificate.writeChainPem(directory.resolve("server.pem")),
                                    certificate.writeKeyPem(directory.resolve("server.key"))));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot write " + configuration, e);
        }
        workbench
                .add(Forked.start("stunnel", directory, List.of(DebianTool.STUNNEL.path(), configuration.toString())))
                .awaitGreeting(tlsPort);
        return new NextHops(plain, behindTls, tlsPort, ca);
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
