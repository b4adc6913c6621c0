/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Postfix in an instance of its own, as Debian's package configures it when it is installed, but for its directories,
 * its port, chroot, and where it relays to: durable queue, TLS of level {@code encrypt}, certificate not verified.
 */
final class PostfixRelay implements Relay, AutoCloseable {
    private static final Path DEBIAN = Path.of("/usr/share/postfix");

    private final RelaySystem system;
    private final Path configuration;
    private final Path directory;
    private final int port;

    private PostfixRelay(RelaySystem system, Path configuration, Path directory, int port) {
        this.system = system;
        this.configuration = configuration;
        this.directory = directory;
        this.port = port;
    }

    static PostfixRelay start(Workbench workbench, NextHops nextHops, RelaySystem system) {
        if (!Superuser.isMe()) {
            throw new BenchmarkFailure(
                    "Postfix can be started by root only; run bin/bench as root, or without it: --systems gateway,james");
        }
        Path directory = workbench.directory(system.label());
        Path configuration = workbench.directory(system.label() + "/conf");
        int port = LoopbackPorts.free();
        PostfixRelay relay = new PostfixRelay(system, configuration, directory, port);
        relay.configure(workbench, nextHops);
        // from here on a half-started instance is stopped as well
        workbench.add(relay);
        relay.run("start", List.of(DebianTool.POSTFIX.path(), "-c", configuration.toString(), "start"));
        return relay;
    }

    private void configure(Workbench workbench, NextHops nextHops) {
        Path queue = workbench.directory(system.label() + "/queue");
        Path data = workbench.directory(system.label() + "/data");
        String tlsHop = "[127.0.0.1]:" + nextHops.port(Transport.STARTTLS);
        Path transports = configuration.resolve("transport");
        Path tlsPolicy = configuration.resolve("tls_policy");
        try {
            Files.setOwner(
                    data, data.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("postfix"));
            Files.copy(DEBIAN.resolve("master.cf.dist"), configuration.resolve("master.cf"));
            Files.copy(DEBIAN.resolve("dynamicmaps.cf"), configuration.resolve("dynamicmaps.cf"));
            Files.writeString(configuration.resolve("main.cf"), debianMainCf());
            Files.writeString(
                    transports,
                    "%s smtp:[127.0.0.1]:%d%n%s smtp:%s%n"
                            .formatted(
                                    Transport.PLAIN.domain(),
                                    nextHops.port(Transport.PLAIN),
                                    Transport.STARTTLS.domain(),
                                    tlsHop));
            Files.writeString(tlsPolicy, tlsHop + " encrypt\n");
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot make the configuration of Postfix in " + configuration + ": " + e, e);
        }
        List<String> settings = new ArrayList<>(List.of(
                // what Debian's postinst sets
                "smtpd_relay_restrictions=permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
                "mailbox_size_limit=0",
                "recipient_delimiter=+",
                "mynetworks=127.0.0.0/8",
                // what makes it an instance of its own
                "myhostname=postfix.bench.test",
                "mydestination=$myhostname",
                "inet_interfaces=127.0.0.1",
                "queue_directory=" + queue,
                "data_directory=" + data,
                "maillog_file=" + directory.resolve("mail.log"),
                "maillog_file_prefixes=" + directory,
                "transport_maps=texthash:" + transports,
                "smtp_tls_policy_maps=texthash:" + tlsPolicy));
        List<String> services =
                new ArrayList<>(List.of("127.0.0.1:%1$d/inet=127.0.0.1:%1$d inet n - n - - smtpd".formatted(port)));
        if (system == RelaySystem.POSTFIX_REUSE) {
            settings.add("smtp_tls_connection_reuse=yes");
            // it holds the reused connections, and is a comment in Debian's master.cf
            services.add("tlsproxy/unix=tlsproxy unix - - n - 0 tlsproxy");
        }
        postconf("-e", settings);
        postconf("-M#", List.of("smtp/inet"));
        postconf("-M", services);
        // a chroot needs files of /etc in the queue directory
        postconf("-F", List.of("*/*/chroot=n"));
    }

    /** As postinst writes it. Its TLS for incoming mail is left out: nobody uses it here, and it needs a certificate. */
    private static String debianMainCf() throws IOException {
        try (Stream<String> tls = Files.lines(DEBIAN.resolve("main.cf.tls"))) {
            return Files.readString(DEBIAN.resolve("main.cf.debian"))
                    + tls.filter(line -> line.startsWith("smtp_")).collect(Collectors.joining("\n", "\n", "\n"));
        }
    }

    private void postconf(String option, List<String> arguments) {
        List<String> command =
                new ArrayList<>(List.of(DebianTool.POSTCONF.path(), "-c", configuration.toString(), option));
        command.addAll(arguments);
        run("postconf", command);
    }

    private void run(String name, List<String> command) {
        Forked.run(system.label() + "-" + name, directory, command);
    }

    @Override
    public RelaySystem system() {
        return system;
    }

    @Override
    public int port() {
        return port;
    }

    @Override
    public String lastLog() {
        return Forked.lastLines(directory.resolve("mail.log"));
    }

    @Override
    public void close() {
        if (Files.exists(directory.resolve("queue/pid/master.pid"))) {
            run("stop", List.of(DebianTool.POSTFIX.path(), "-c", configuration.toString(), "stop"));
        }
    }
}
