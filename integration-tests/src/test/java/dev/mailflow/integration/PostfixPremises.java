/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * A real Postfix as the other premises of a hybrid organization, with a configuration, queue and port of its own: it has the
 * mailboxes of one domain, hands everything else to the gateway over TLS with the certificates both ways, and relays for
 * clients on loopback. It needs root, as Postfix does.
 */
final class PostfixPremises implements AutoCloseable {
    private static final Path SHARE = Path.of("/usr/share/postfix");

    private final Path directory;
    private final Path conf;
    private final int port;

    private PostfixPremises(Path directory, int port) {
        this.directory = directory;
        this.conf = directory.resolve("conf");
        this.port = port;
    }

    /** Without Postfix, or without the rights it needs, a test is skipped on a laptop and fails in CI. */
    static void require() {
        boolean there =
                Files.isExecutable(Path.of("/usr/sbin/postfix")) && "root".equals(System.getProperty("user.name"));
        if (!there) {
            String message = "this test needs Debian's postfix, and root to start it";
            assertThat(Project.CI).as(message).isFalse();
            assumeTrue(false, message);
        }
    }

    /** Prepared, not started: the gateway's port need not be known yet. */
    static PostfixPremises in(
            Path directory, String hostName, String mailboxDomain, TestCertificates.Issued shown, Path ca) {
        try {
            PostfixPremises postfix = new PostfixPremises(directory, FreePort.next());
            postfix.prepare(hostName, mailboxDomain, shown, ca);
            return postfix;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A mail server works as another user than the tests. */
    static void letOthersPass(Path directory) throws IOException {
        for (Path above = directory; above != null && above.toString().startsWith("/tmp/"); above = above.getParent()) {
            Files.setPosixFilePermissions(above, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
    }

    private void prepare(String hostName, String mailboxDomain, TestCertificates.Issued shown, Path ca)
            throws IOException {
        Files.createDirectories(conf);
        letOthersPass(directory);
        Files.createDirectories(directory.resolve("queue"));
        Path data = Files.createDirectories(directory.resolve("data"));
        Path mail = Files.createDirectories(directory.resolve("mail"));
        var users = data.getFileSystem().getUserPrincipalLookupService();
        Files.setOwner(data, users.lookupPrincipalByName("postfix"));
        Files.setOwner(mail, users.lookupPrincipalByName("nobody"));
        Files.getFileAttributeView(mail, PosixFileAttributeView.class)
                .setGroup(users.lookupPrincipalByGroupName("nogroup"));
        Files.copy(SHARE.resolve("master.cf.dist"), conf.resolve("master.cf"));
        Files.writeString(conf.resolve("main.cf"), "compatibility_level = 3.6\n");
        shown.writeChainPem(conf.resolve("cert.pem"));
        shown.writeKeyPem(conf.resolve("key.pem"));
        Files.copy(ca, conf.resolve("ca.pem"));
        int nobody = (Integer) Files.getAttribute(mail, "unix:uid");
        int nogroup = (Integer) Files.getAttribute(mail, "unix:gid");
        postconf(
                "-e",
                "queue_directory=" + directory.resolve("queue"),
                "data_directory=" + data,
                "maillog_file=" + directory.resolve("mail.log"),
                "maillog_file_prefixes=" + directory,
                "myhostname=" + hostName,
                "mydestination=",
                "inet_interfaces=127.0.0.1",
                "inet_protocols=ipv4",
                "mynetworks=127.0.0.0/8",
                "alias_maps=",
                "alias_database=",
                "append_dot_mydomain=no",
                "virtual_mailbox_domains=" + mailboxDomain,
                "virtual_mailbox_base=" + mail,
                "virtual_mailbox_maps=static:inbox/",
                "virtual_uid_maps=static:" + nobody,
                "virtual_gid_maps=static:" + nogroup,
                "virtual_minimum_uid=1",
                "smtpd_tls_cert_file=" + conf.resolve("cert.pem"),
                "smtpd_tls_key_file=" + conf.resolve("key.pem"),
                "smtpd_tls_CAfile=" + conf.resolve("ca.pem"),
                "smtpd_tls_security_level=may",
                "smtpd_tls_ask_ccert=yes",
                "smtpd_tls_received_header=yes",
                "smtpd_tls_loglevel=1",
                "smtp_tls_cert_file=" + conf.resolve("cert.pem"),
                "smtp_tls_key_file=" + conf.resolve("key.pem"),
                "smtp_tls_CAfile=" + conf.resolve("ca.pem"),
                "smtp_tls_loglevel=1",
                "minimal_backoff_time=2s",
                "maximal_backoff_time=4s",
                "queue_run_delay=2s",
                "smtpd_client_connection_rate_limit=0");
        postconf("-M#", "smtp/inet");
        postconf("-M", "127.0.0.1:%1$d/inet=127.0.0.1:%1$d inet n - n - - smtpd".formatted(port));
        postconf("-F", "*/*/chroot=n");
    }

    /** Starts, with all mail that is not for its own mailboxes going to the gateway, whose certificate must bear the name. */
    void start(int gatewayPort, String gatewayCertificate) throws IOException {
        String gateway = "[127.0.0.1]:" + gatewayPort;
        Files.writeString(conf.resolve("tls_policy"), gateway + " secure match=" + gatewayCertificate + "\n");
        postconf("-e", "relayhost=" + gateway, "smtp_tls_policy_maps=texthash:" + conf.resolve("tls_policy"));
        resume();
    }

    /** Before it starts: mail for a domain goes to a port of loopback, not to the gateway. */
    void sendDirectly(String domain, int to) throws IOException {
        Files.writeString(conf.resolve("transport"), domain + " smtp:[127.0.0.1]:" + to + "\n");
        postconf("-e", "transport_maps=texthash:" + conf.resolve("transport"));
    }

    /** Takes fields out of whatever passes, as devices in between do; an empty pattern ends that. */
    void strip(String pattern) throws IOException {
        Files.writeString(conf.resolve("header_checks"), pattern.isEmpty() ? "" : "/" + pattern + "/ IGNORE\n");
        postconf("-e", "header_checks=regexp:" + conf.resolve("header_checks"));
        halt();
        resume();
    }

    void resume() throws IOException {
        run("/usr/sbin/postfix", "-c", conf.toString(), "start");
    }

    void halt() throws IOException {
        if (Files.exists(directory.resolve("queue/pid/master.pid"))) {
            run("/usr/sbin/postfix", "-c", conf.toString(), "stop");
        }
    }

    int port() {
        return port;
    }

    String log() {
        try {
            return Files.readString(directory.resolve("mail.log"));
        } catch (IOException e) {
            return "";
        }
    }

    /** Everything delivered to its mailboxes, as it was written to disk. */
    List<String> delivered() {
        return EximPeer.mailsIn(directory.resolve("mail/inbox/new"));
    }

    private void postconf(String option, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("/usr/sbin/postconf", "-c", conf.toString(), option));
        command.addAll(List.of(arguments));
        run(command.toArray(String[]::new));
    }

    private void run(String... command) throws IOException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("commands.log").toFile())
                .start();
        try {
            if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroyForcibly();
                throw new IOException(String.join(" ", command) + ": "
                        + Files.readString(directory.resolve("commands.log")) + "\n" + log());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        halt();
    }
}
