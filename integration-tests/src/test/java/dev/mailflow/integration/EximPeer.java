/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * Debian's Exim as the rest of the world, with a configuration, spool and port of its own: it has every mailbox there is but
 * those of one domain, whose mail it sends to the gateway over TLS, and takes mail from everybody. It runs from where
 * bin/test unpacked it, and believes through nss_wrapper that the user it was built for exists.
 */
final class EximPeer implements AutoCloseable {
    private static final Path PROGRAM = Project.ROOT.resolve("target/peers/exim4/usr/sbin/exim4");
    private static final String WRAPPER = "libnss_wrapper.so";
    private static final String USER = "Debian-exim";
    private static final int USER_ID = 65_533;

    private final Path directory;
    private final int port;
    private final ForkedProcess process;

    private EximPeer(Path directory, int port, ForkedProcess process) {
        this.directory = directory;
        this.port = port;
        this.process = process;
    }

    /** Without Exim, or without the rights it needs, a test is skipped on a laptop and fails in CI. */
    static void require() {
        if (!Files.isExecutable(PROGRAM) || !"root".equals(System.getProperty("user.name"))) {
            String message = "this test needs root, and Debian's exim4 as bin/test unpacks it to " + PROGRAM;
            assertThat(Project.CI).as(message).isFalse();
            assumeTrue(false, message);
        }
    }

    /**
     * Starts it.
     *
     * @param port where it listens
     * @param from the address of loopback that it sends from
     * @param domain whose mail it sends to {@code gatewayPort}
     */
    static EximPeer start(
            Path directory,
            int port,
            String hostName,
            String from,
            TestCertificates.Issued shown,
            Path ca,
            String domain,
            int gatewayPort)
            throws Exception {
        Files.createDirectories(directory);
        PostfixPremises.letOthersPass(directory);
        for (String writable : List.of("spool", "log", "mail")) {
            Path created = Files.createDirectories(directory.resolve(writable));
            Files.setAttribute(created, "unix:uid", USER_ID);
            Files.setAttribute(created, "unix:gid", USER_ID);
        }
        shown.writeChainPem(directory.resolve("cert.pem"));
        Files.setAttribute(shown.writeKeyPem(directory.resolve("key.pem")), "unix:uid", USER_ID);
        Path trusted = Files.copy(ca, directory.resolve("ca.pem"));
        Path users = Files.writeString(
                directory.resolve("passwd"),
                Files.readString(Path.of("/etc/passwd"))
                        + "%1$s:x:%2$d:%2$d::/nonexistent:/usr/sbin/nologin\n".formatted(USER, USER_ID));
        Path groups = Files.writeString(
                directory.resolve("group"),
                Files.readString(Path.of("/etc/group")) + "%s:x:%d:\n".formatted(USER, USER_ID));
        Path configuration = Files.writeString(
                directory.resolve("exim.conf"),
                """
                exim_path = %1$s
                keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
                deliver_drop_privilege = true
                spool_directory = %2$s/spool
                log_file_path = %2$s/log/%%slog
                log_selector = +tls_cipher +tls_peerdn +tls_certificate_verified
                primary_hostname = %3$s
                disable_ipv6 = true
                local_interfaces = 127.0.0.1
                daemon_smtp_ports = %4$d
                host_lookup =
                tls_advertise_hosts = *
                tls_certificate = %2$s/cert.pem
                tls_privatekey = %2$s/key.pem
                acl_smtp_rcpt = everything
                acl_smtp_data = everything
                begin acl
                everything:
                  accept
                begin routers
                gateway:
                  driver = manualroute
                  domains = %5$s
                  transport = to_gateway
                  route_list = * 127.0.0.1
                  self = send
                  no_more
                here:
                  driver = accept
                  transport = mailbox
                begin transports
                to_gateway:
                  driver = smtp
                  port = %6$d
                  allow_localhost
                  interface = %7$s
                  hosts_require_tls = *
                  tls_verify_certificates = %8$s
                  tls_verify_hosts = *
                  tls_verify_cert_hostnames =
                mailbox:
                  driver = appendfile
                  maildir_format
                  directory = %2$s/mail/inbox
                  create_directory
                begin retry
                * * F,2d,2s
                """
                        .formatted(PROGRAM, directory, hostName, port, domain, gatewayPort, from, trusted));
        ForkedProcess process = ForkedProcess.start(
                directory,
                directory.resolve("output.txt"),
                List.of(
                        "env",
                        "LD_PRELOAD=" + WRAPPER,
                        "NSS_WRAPPER_PASSWD=" + users,
                        "NSS_WRAPPER_GROUP=" + groups,
                        PROGRAM.toString(),
                        "-C",
                        configuration.toString(),
                        "-bdf",
                        "-q2s"));
        EximPeer exim = new EximPeer(directory, port, process);
        GatewayScenario.await().until(exim::isListening);
        return exim;
    }

    private boolean isListening() {
        if (!process.isAlive()) {
            throw new AssertionError("Exim did not start:\n" + process.output() + log());
        }
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }

    int port() {
        return port;
    }

    /** Everything delivered to its mailboxes, as it was written to disk. */
    List<String> delivered() {
        return mailsIn(directory.resolve("mail/inbox/new"));
    }

    /** The files of a maildir, with whatever line ends they have. */
    static List<String> mailsIn(Path inbox) {
        if (!Files.isDirectory(inbox)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(inbox)) {
            List<String> messages = new ArrayList<>();
            for (Path file : files.toList()) {
                messages.add(Files.readString(file, StandardCharsets.ISO_8859_1));
            }
            return messages;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String log() {
        try {
            return Files.readString(directory.resolve("log/mainlog"));
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public void close() throws IOException {
        try {
            // its children go with it only when it is asked
            process.terminate(30);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        } finally {
            process.close();
        }
    }
}
