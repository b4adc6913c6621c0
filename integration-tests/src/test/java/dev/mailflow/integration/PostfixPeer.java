/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Debian's Postfix as another organization's mail server, in an instance of its own on a port of loopback: one domain with
 * mailboxes, recipients judged only when they are delivered, so that it bounces what it took, and one domain whose mail it
 * sends to us.
 */
final class PostfixPeer implements AutoCloseable {
    private static final Path DEBIAN = Path.of("/usr/share/postfix");
    private static final String SEARCH_PATH = System.getenv("PATH") + ":/usr/sbin:/usr/lib/postfix/sbin";
    private static final int COMMAND_SECONDS = 30;
    private static final String NOBODY = "65534";

    private final Path directory;
    private final Path configuration;
    private final int port;

    private PostfixPeer(Path directory, int port) {
        this.directory = directory;
        this.configuration = directory.resolve("conf");
        this.port = port;
    }

    /** The first thing that is missing on this machine, if any. */
    static Optional<String> missing() {
        if (!"root".equals(System.getProperty("user.name"))) {
            return Optional.of("root");
        }
        return Stream.of("postfix", "postconf")
                .filter(command -> find(command).isEmpty())
                .findFirst();
    }

    private static Optional<Path> find(String command) {
        return Stream.of(SEARCH_PATH.split(File.pathSeparator))
                .map(directory -> Path.of(directory, command))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /**
     * Starts it.
     *
     * @param domain whose mailboxes it has
     * @param mailbox the one local part there is
     * @param otherDomain whose mail goes to {@code otherPort} of 127.0.0.1
     */
    static PostfixPeer start(Path directory, String domain, String mailbox, String otherDomain, int otherPort)
            throws Exception {
        PostfixPeer peer = new PostfixPeer(directory, FreePort.next());
        peer.configure(domain, mailbox, otherDomain, otherPort);
        peer.run("postfix", "-c", peer.configuration.toString(), "start");
        return peer;
    }

    private void configure(String domain, String mailbox, String otherDomain, int otherPort) throws Exception {
        // its processes drop their privileges and must be able to pass
        PostfixPremises.letOthersPass(directory.getParent());
        Path queue = Files.createDirectories(directory.resolve("queue"));
        Path data = Files.createDirectories(directory.resolve("data"));
        Path mail = Files.createDirectories(directory.resolve("mail"));
        Files.createDirectories(configuration);
        Files.setOwner(data, owner(data, "postfix"));
        Files.setOwner(mail, owner(mail, "nobody"));
        for (String file : List.of("master.cf.dist", "dynamicmaps.cf")) {
            Files.copy(DEBIAN.resolve(file), configuration.resolve(file.replace(".dist", "")));
        }
        Files.copy(DEBIAN.resolve("main.cf.debian"), configuration.resolve("main.cf"));
        Path mailboxes =
                Files.writeString(configuration.resolve("mailboxes"), mailbox + "@" + domain + " " + mailbox + "/\n");
        Path transports = Files.writeString(
                configuration.resolve("transport"), otherDomain + " smtp:[127.0.0.1]:" + otherPort + "\n");
        postconf(
                "-e",
                "myhostname=mx." + domain,
                "mydestination=",
                "mynetworks=127.0.0.0/8",
                "inet_interfaces=127.0.0.1",
                "queue_directory=" + queue,
                "data_directory=" + data,
                "maillog_file=" + directory.resolve("mail.log"),
                "maillog_file_prefixes=" + directory,
                "smtpd_relay_restrictions=permit_mynetworks reject",
                "smtpd_reject_unlisted_recipient=no",
                "virtual_mailbox_domains=" + domain,
                "virtual_mailbox_base=" + mail,
                "virtual_mailbox_maps=texthash:" + mailboxes,
                "virtual_uid_maps=static:" + NOBODY,
                "virtual_gid_maps=static:" + NOBODY,
                "transport_maps=texthash:" + transports);
        postconf("-M#", "smtp/inet");
        postconf("-M", "127.0.0.1:%1$d/inet=127.0.0.1:%1$d inet n - n - - smtpd".formatted(port));
        // a chroot needs files of /etc in the queue directory
        postconf("-F", "*/*/chroot=n");
    }

    private static java.nio.file.attribute.UserPrincipal owner(Path path, String user) throws IOException {
        return path.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName(user);
    }

    private void postconf(String option, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("postconf", "-c", configuration.toString(), option));
        command.addAll(List.of(arguments));
        run(command.toArray(String[]::new));
    }

    private void run(String... command) throws IOException {
        command[0] = find(command[0])
                .orElseThrow(() -> new IOException("found no " + command[0]))
                .toString();
        Path output = directory.resolve("commands.log");
        try (ForkedProcess process = ForkedProcess.start(directory, output, List.of(command))) {
            if (process.exitCode(COMMAND_SECONDS) != 0) {
                throw new IOException(String.join(" ", command) + ":\n" + process.output());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted during " + String.join(" ", command), e);
        }
    }

    int port() {
        return port;
    }

    /** What has been delivered to a mailbox. */
    List<String> delivered(String mailbox) {
        return EximPeer.mailsIn(directory.resolve("mail").resolve(mailbox).resolve("new"));
    }

    String log() throws IOException {
        Path log = directory.resolve("mail.log");
        return Files.exists(log) ? Files.readString(log) : "";
    }

    @Override
    public void close() throws IOException {
        run("postfix", "-c", configuration.toString(), "stop");
    }
}
