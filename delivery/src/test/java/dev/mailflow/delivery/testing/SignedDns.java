/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import org.awaitility.Awaitility;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.SimpleResolver;
import org.xbill.DNS.Type;

/**
 * Really signed zones: {@code sec.test}, signed and served by Knot, {@code plain.test} without signatures, and below
 * {@code sec.test} the zones {@code _tcp.mx-bogus.sec.test}, whose signatures do not lead to its parent, and
 * {@code _tcp.mx-dead.sec.test}, whose name server does not answer. Unbound resolves and validates them, on loopback.
 */
public final class SignedDns implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String HEAD = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n";

    private final Process knot;
    private final Process unbound;
    private final InetSocketAddress resolver;
    private final String trustAnchor;

    private SignedDns(Process knot, Process unbound, InetSocketAddress resolver, String trustAnchor) {
        this.knot = knot;
        this.unbound = unbound;
        this.resolver = resolver;
        this.trustAnchor = trustAnchor;
    }

    /** Whether both servers are installed. */
    public static boolean isAvailable() {
        return Stream.of("knotd", "keymgr", "unbound")
                .allMatch(program -> Files.isExecutable(Path.of("/usr/sbin", program)));
    }

    /**
     * @param signed records of {@code sec.test}, as in a zone file
     * @param plain records of {@code plain.test}
     */
    public static SignedDns start(Path directory, String signed, String plain) {
        try {
            int authoritative = freePort();
            int recursive = freePort();
            int dead = freePort();
            Files.createDirectories(directory.resolve("run"));
            Files.createDirectories(directory.resolve("db"));
            Files.writeString(
                    directory.resolve("sec.test.zone"),
                    HEAD + signed
                            + """

                            _tcp.mx-bogus NS ns
                            _tcp.mx-bogus DS 12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
                            _tcp.mx-dead NS ns
                            """);
            Files.writeString(directory.resolve("plain.test.zone"), HEAD + plain + "\n");
            Files.writeString(directory.resolve("bogus.zone"), HEAD + "* TLSA 3 1 1 " + "00".repeat(32) + "\n");
            Path knotConf = Files.writeString(
                    directory.resolve("knot.conf"),
                    """
                    server:
                        rundir: "%1$s/run"
                        listen: 127.0.0.1@%2$d
                    log:
                      - target: stdout
                        any: info
                    database:
                        storage: "%1$s/db"
                    policy:
                      - id: test
                        algorithm: ecdsap256sha256
                        single-type-signing: on
                        cds-cdnskey-publish: none
                    template:
                      - id: default
                        storage: "%1$s"
                        journal-content: none
                        zonefile-sync: -1
                        zonefile-load: whole
                    zone:
                      - domain: sec.test
                        file: sec.test.zone
                        dnssec-signing: on
                        dnssec-policy: test
                      - domain: _tcp.mx-bogus.sec.test
                        file: bogus.zone
                        dnssec-signing: on
                        dnssec-policy: test
                      - domain: plain.test
                        file: plain.test.zone
                    """
                            .formatted(directory, authoritative));
            Process knot = run(directory, "knot", "/usr/sbin/knotd", "-c", knotConf.toString());
            Runtime.getRuntime().addShutdownHook(new Thread(knot::destroy));
            awaitAnswer(authoritative, "sec.test", Type.DNSKEY);
            String anchor = output("/usr/sbin/keymgr", "-c", knotConf.toString(), "sec.test", "ds");
            String stubs = Stream.of("sec.test", "plain.test", "_tcp.mx-bogus.sec.test")
                    .map(zone -> stub(zone, authoritative))
                    .reduce(stub("_tcp.mx-dead.sec.test", dead), String::concat);
            Files.writeString(
                    directory.resolve("anchor"),
                    anchor.lines()
                                    .filter(line -> line.contains(" 13 2 "))
                                    .findFirst()
                                    .orElseThrow() + "\n");
            Path unboundConf = Files.writeString(
                    directory.resolve("unbound.conf"),
                    """
                    server:
                        interface: 127.0.0.1
                        port: %2$d
                        do-daemonize: no
                        do-ip6: no
                        do-not-query-localhost: no
                        access-control: 127.0.0.0/8 allow
                        chroot: ""
                        username: ""
                        directory: "%1$s"
                        pidfile: ""
                        use-syslog: no
                        logfile: ""
                        qname-minimisation: no
                        module-config: "validator iterator"
                        local-zone: "test." nodefault
                        trust-anchor-file: "%1$s/anchor"
                    remote-control:
                        control-enable: no
                    %3$s
                    """
                            .formatted(directory, recursive, stubs));
            Process unbound = run(directory, "unbound", "/usr/sbin/unbound", "-d", "-c", unboundConf.toString());
            Runtime.getRuntime().addShutdownHook(new Thread(unbound::destroy));
            awaitAnswer(recursive, "sec.test", Type.SOA);
            return new SignedDns(
                    knot,
                    unbound,
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), recursive),
                    Files.readString(directory.resolve("anchor")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String stub(String zone, int port) {
        return "stub-zone:\n    name: \"" + zone + "\"\n    stub-addr: 127.0.0.1@" + port + "\n";
    }

    /** Unbound. */
    public InetSocketAddress resolver() {
        return resolver;
    }

    /** The DS record of {@code sec.test}, as in a zone file. */
    public String trustAnchor() {
        return trustAnchor;
    }

    private static Process run(Path directory, String name, String... command) throws IOException {
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve(name + ".log").toFile())
                .start();
    }

    private static String output(String... command) throws IOException {
        Process process = new ProcessBuilder(command).start();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    }

    private static void awaitAnswer(int port, String name, int type) throws IOException {
        SimpleResolver server = new SimpleResolver(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        server.setTimeout(Duration.ofSeconds(1));
        Message query = Message.newQuery(Record.newRecord(Name.fromString(name, Name.root), type, DClass.IN));
        query.getHeader().setFlag(Flags.AD);
        Awaitility.await()
                .atMost(PATIENCE)
                .pollInterval(Duration.ofMillis(250))
                .ignoreExceptions()
                .until(() -> {
                    Message answer = server.send(query);
                    return answer.getRcode() == Rcode.NOERROR
                            && !answer.getSection(org.xbill.DNS.Section.ANSWER).isEmpty();
                });
    }

    private static int freePort() throws IOException {
        for (int i = 0; i < 100; i++) {
            try (ServerSocket tcp = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                    DatagramSocket udp = new DatagramSocket(
                            new InetSocketAddress(InetAddress.getLoopbackAddress(), tcp.getLocalPort()))) {
                return udp.getLocalPort();
            } catch (IOException e) {
                // taken by one protocol: another number
            }
        }
        throw new IOException("no port is free for UDP and TCP");
    }

    @Override
    public void close() {
        List.of(unbound, knot).forEach(Process::destroy);
        // what they still write would keep their directory from being removed
        for (Process each : List.of(unbound, knot)) {
            each.onExit().orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
        }
    }
}
