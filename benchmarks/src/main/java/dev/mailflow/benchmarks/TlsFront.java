/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.testing.TestCertificates;

/** What speaks STARTTLS for {@code smtp-sink}, which cannot. */
enum TlsFront {
    /**
     * {@link StartTlsServer}, which greets at once: a new connection costs what TCP, TLS and the relay make of it.
     */
    IMMEDIATE("immediate", "greets at once"),
    /**
     * Debian's stunnel with {@code protocol = smtp}. It listens for 200 ms before it greets, to find out whether the
     * client begins with TLS, so that a new connection costs those as well, as one to a distant or careful peer would:
     * it favours relays that reuse connections.
     */
    STUNNEL("stunnel", "stunnel, greets after 200 ms");

    private final String label;
    private final String description;

    TlsFront(String label, String description) {
        this.label = label;
        this.description = description;
    }

    /** The name on the command line and in reports. */
    String label() {
        return label;
    }

    /** For the report. */
    String description() {
        return description;
    }

    static Optional<TlsFront> of(String label) {
        return Arrays.stream(values())
                .filter(front -> front.label.equals(label))
                .findFirst();
    }

    static List<String> labels() {
        return Arrays.stream(values()).map(TlsFront::label).toList();
    }

    /** Starts it on a port of 127.0.0.1, which it returns. */
    int start(Workbench workbench, TestCertificates.Issued certificate, int sink) {
        return switch (this) {
            case IMMEDIATE -> workbench
                    .add(StartTlsServer.start(certificate, sink))
                    .port();
            case STUNNEL -> startStunnel(workbench, certificate, sink);
        };
    }

    private static int startStunnel(Workbench workbench, TestCertificates.Issued certificate, int sink) {
        Path directory = workbench.directory("stunnel");
        int port = LoopbackPorts.free();
        Path configuration = directory.resolve("stunnel.conf");
        try {
            Path key = certificate.writeKeyPem(directory.resolve("server.key"));
            Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
            Files.writeString(
                    configuration,
                    """
                    foreground = yes
                    pid =
                    debug = err
                    [smtp]
                    protocol = smtp
                    accept = 127.0.0.1:%d
                    connect = 127.0.0.1:%d
                    cert = %s
                    key = %s
                    TIMEOUTclose = 0
                    """
                            .formatted(port, sink, certificate.writeChainPem(directory.resolve("server.pem")), key));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot write " + configuration, e);
        }
        workbench
                .add(Forked.start("stunnel", directory, List.of(DebianTool.STUNNEL.path(), configuration.toString())))
                .awaitGreeting(port);
        return port;
    }
}
