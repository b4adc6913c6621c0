/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static dev.mailflow.demo.World.CLOUD;
import static dev.mailflow.demo.World.FABRIKAM;
import static dev.mailflow.demo.World.GATEWAY;
import static dev.mailflow.demo.World.NET;
import static dev.mailflow.demo.World.SCRUBBER;

import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import dev.mailflow.demo.MailPath.Expected;
import dev.mailflow.demo.MailPath.Status;
import dev.mailflow.demo.MailPath.Topology;
import dev.mailflow.demo.World.Host;

/**
 * {@code bin/demo}: a gateway made hybrid by the wizard, between a simulated cloud, a partner, the Internet and a
 * scrubber, all with real SMTP, TLS and DNS on loopback. Mail is sent along every path of the table; the ways it took
 * are printed beside what the table says. Exit code 0 only when all agree.
 */
public final class Demo {
    private static final Duration ARRIVAL = Duration.ofSeconds(30);
    private static final List<String> INSIDE =
            List.of("X-MS-Exchange-Organization-", "X-MS-Exchange-CrossPremises-", "X-Mailflow-");

    private final PrintStream out;
    private final World world;
    private final Cloud cloud;
    private final MailHost internet;
    private final MailHost partner;
    private final Premises premises;
    private int sent;

    private Demo(PrintStream out, World world, Path project, Path directory, List<AutoCloseable> opened)
            throws Exception {
        this.out = out;
        this.world = world;
        this.cloud = new Cloud(world);
        this.internet = new MailHost(world, NET, World.INTERNET);
        this.partner = new MailHost(world, FABRIKAM, World.PARTNER);
        opened.add(neighbour(CLOUD, true, List.of("XOORG"), cloud));
        opened.add(neighbour(NET, false, List.of(), internet));
        opened.add(neighbour(FABRIKAM, true, List.of(), partner));
        opened.add(neighbour(SCRUBBER, true, List.of(), new Scrubber(world)));
        this.premises = new Premises(world, project, directory);
        opened.add(premises);
    }

    private Neighbour neighbour(Host host, boolean tlsRequired, List<String> extensions, Neighbour.Conduct conduct)
            throws IOException {
        return new Neighbour(
                host.name(), world.address(host), world.tls(host), tlsRequired, extensions, conduct, Clock.systemUTC());
    }

    public static void main(String[] args) {
        if (args.length > 0) {
            System.err.println("demo: unknown argument '" + args[0] + "'; it takes none");
            System.exit(2);
        }
        System.exit(run(Path.of(System.getProperty("mailflow.project", ".")), MailPath.TABLE, System.out));
    }

    /**
     * The whole demonstration.
     *
     * @param project where {@code james-conf/} is
     * @param paths to be walked
     * @return the exit code: 0 when every path is as the table says
     */
    static int run(Path project, List<MailPath> paths, PrintStream out) {
        List<AutoCloseable> opened = new ArrayList<>();
        Path directory = null;
        try {
            directory = Files.createTempDirectory("mailflow-demo-");
            World world = new World();
            opened.add(world);
            out.println("Starting a gateway, a cloud, a partner, the Internet and a scrubber on loopback ...");
            Demo demo = new Demo(out, world, project, directory, opened);
            demo.introduce();
            return demo.walk(paths) ? 0 : 1;
        } catch (Exception e) {
            out.println("demo: " + (e.getMessage() == null ? e : e.getMessage()));
            return 1;
        } finally {
            close(opened, out);
            delete(directory);
        }
    }

    private static void close(List<AutoCloseable> opened, PrintStream out) {
        for (int i = opened.size() - 1; i >= 0; i--) {
            try {
                opened.get(i).close();
            } catch (Exception e) {
                out.println("demo: while stopping: " + e.getMessage());
            }
        }
    }

    private static void delete(Path directory) {
        if (directory == null) {
            return;
        }
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            // the system clears its temporary directory
        }
    }

    private void introduce() {
        out.println();
        out.println("  j@contoso.example   lives here       " + shown(GATEWAY));
        out.println("  d@contoso.example   in the cloud     " + shown(CLOUD) + ", routed as d@contoso.cloud.example");
        out.println("  e@example.net       on the Internet  " + shown(NET));
        out.println("  p@fabrikam.example  at a partner     " + shown(FABRIKAM));
        out.println("                      the scrubber     " + shown(SCRUBBER));
        out.println();
        out.print(premises.hybrid("show"));
    }

    private String shown(Host host) {
        return host.name() + " [" + host.address() + "]:" + world.port();
    }

    private boolean walk(List<MailPath> paths) throws Exception {
        Optional<Topology> current = Optional.empty();
        int good = 0;
        for (MailPath path : paths) {
            if (!current.equals(Optional.of(path.topology()))) {
                current = Optional.of(path.topology());
                out.println();
                out.println("== " + path.topology() + " ==");
                premises.topology(path.topology());
                cloud.centralized(path.topology().centralized());
                world.mxOfSharedDomain(path.topology().mxHere() ? GATEWAY : CLOUD);
            }
            good += walk(path) ? 1 : 0;
        }
        out.println();
        out.println(good + " of " + paths.size() + " paths are as the table says.");
        return good == paths.size();
    }

    private boolean walk(MailPath path) throws Exception {
        sent++;
        String subject = "path " + sent + ": " + path.title();
        out.println();
        out.println(sent + ". " + path.title());
        try {
            send(path, subject);
        } catch (IOException e) {
            out.println("   DIFFERS: it could not be sent: " + e.getMessage());
            return false;
        }
        boolean good = true;
        for (Expected expected : path.expected()) {
            good &= judge(path, expected, subject);
        }
        return good;
    }

    private void send(MailPath path, String subject) throws IOException {
        List<String> to = path.expected().stream()
                .map(expected -> MailPath.addressOf(expected.recipient()))
                .toList();
        char sender = path.sender();
        String from = MailPath.addressOf(sender);
        byte[] message = message(from, to, subject, path.scrubbed());
        switch (sender) {
            case 'j' -> premises.submit(to.get(0), message);
            case 'd' -> cloud.submit(to.get(0), originated(CLOUD, message));
            case 'p' -> partner.submit(from, to, originated(FABRIKAM, message));
            default -> internet.submit(from, to, originated(NET, forged(message)));
        }
    }

    private static byte[] message(String from, List<String> to, String subject, boolean scrub) {
        return ("From: " + from + "\r\nTo: " + String.join(", ", to) + "\r\nSubject: " + subject + "\r\nMessage-ID: <"
                        + subject.replaceAll("[^A-Za-z0-9]+", "-") + "@demo.example>\r\n"
                        + (scrub ? Scrubber.MARK + ": please\r\n" : "")
                        + "\r\nGood morning.\r\n.a line with a dot\r\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    /** Whoever sends from the Internet may claim to be inside; nobody may believe it. */
    private static byte[] forged(byte[] message) {
        return ("X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
                        + new String(message, StandardCharsets.US_ASCII))
                .getBytes(StandardCharsets.US_ASCII);
    }

    /** As the sender's own server has taken it from the sender. */
    private static byte[] originated(Host host, byte[] message) {
        return (Neighbour.received(
                                "client." + host.name(),
                                InetAddress.getLoopbackAddress(),
                                host.name(),
                                Optional.empty(),
                                "submitted",
                                Clock.systemUTC())
                        + new String(message, StandardCharsets.US_ASCII))
                .getBytes(StandardCharsets.US_ASCII);
    }

    private boolean judge(MailPath path, Expected expected, String subject) throws Exception {
        Optional<Arrival> found = await(expected.recipient(), subject);
        String who = Character.toString(Character.toUpperCase(expected.recipient()));
        if (found.isEmpty()) {
            out.println("   " + who + "  DIFFERS: nothing arrived within " + ARRIVAL.toSeconds() + " s");
            return false;
        }
        Arrival arrival = found.get();
        List<String> hops = arrival.hops();
        List<String> wanted = expected.hops().stream().map(Host::name).toList();
        Status status = status(arrival);
        List<String> differences = new ArrayList<>();
        if (!hops.equals(wanted)) {
            differences.add("the table says " + String.join(" -> ", wanted));
        }
        if (arrival.tls().isEmpty()) {
            differences.add("the last hop was in plaintext");
        }
        if (!arrival.to().equals(List.of(expected.address()))) {
            differences.add("the table says to " + expected.address());
        }
        if (status != expected.status()) {
            differences.add("the table says " + describe(expected.status()));
        }
        if (path.scrubbed() && arrival.fields("X-Scrubbed").isEmpty()) {
            differences.add("the scrubber did not note that it scrubbed");
        }
        out.println("   " + who + "  " + String.join(" -> ", hops));
        out.println("      " + arrival.tls().orElse("plaintext")
                + arrival.client().map(name -> ", certificate of " + name).orElse("")
                + (arrival.mailParameters().contains("XOORG") ? ", XOORG" : "")
                + "; to " + String.join(", ", arrival.to()) + "; " + describe(status));
        out.println("      "
                + (differences.isEmpty() ? "as the table says" : "DIFFERS: " + String.join("; ", differences)));
        return differences.isEmpty();
    }

    private static Status status(Arrival arrival) {
        List<String> as = Stream.of("X-MS-Exchange-Organization-AuthAs", "X-MS-Exchange-CrossPremises-AuthAs")
                .flatMap(name -> arrival.fields(name).stream())
                .distinct()
                .toList();
        if (as.equals(List.of("Internal"))) {
            return Status.INTERNAL;
        }
        boolean marks = INSIDE.subList(0, 2).stream()
                .anyMatch(prefix -> !arrival.fieldsBeginning(prefix).isEmpty());
        return marks ? Status.VOUCHED : Status.BARE;
    }

    private static String describe(Status status) {
        return switch (status) {
            case INTERNAL -> "internal";
            case VOUCHED -> "not internal, with the marks of the other premises";
            case BARE -> "not internal";
        };
    }

    private Optional<Arrival> await(char recipient, String subject) throws Exception {
        long end = System.nanoTime() + ARRIVAL.toNanos();
        while (true) {
            List<Arrival> mailbox =
                    switch (recipient) {
                        case 'j' -> premises.mailbox();
                        case 'd' -> cloud.mailbox();
                        case 'p' -> partner.mailboxes();
                        default -> internet.mailboxes();
                    };
            List<Arrival> found = mailbox.stream()
                    .filter(arrival -> arrival.subject().equals(subject))
                    .collect(Collectors.toList());
            if (!found.isEmpty()) {
                return Optional.of(found.get(0));
            }
            if (System.nanoTime() > end) {
                return Optional.empty();
            }
            Thread.sleep(100);
        }
    }
}
