/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static dev.mailflow.demo.World.GATEWAY;
import static dev.mailflow.demo.World.SCRUBBER;
import static dev.mailflow.demo.World.SHARED;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.delivery.testing.Inbox;
import dev.mailflow.gateway.Gateway;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.testing.TestCertificates;
import picocli.CommandLine;

/**
 * The premises here: a real gateway with J's mailbox. Its configuration is the shipped one, made hybrid by the wizard as
 * an administrator would, with a partner and a scrubber added by hand.
 */
final class Premises implements AutoCloseable {
    private static final String PASSWORD = "demonstration";
    private static final Duration RELOAD = Duration.ofSeconds(20);
    private static final String EVERYTHING = "<recipientDomain>*</recipientDomain>";

    private final Path conf;
    private final World world;
    private final Courier submission;
    private final Gateway gateway;

    /** @param project where {@code james-conf/} is */
    Premises(World world, Path project, Path directory) throws Exception {
        this.world = world;
        this.conf = directory.resolve("conf");
        copy(project.resolve("james-conf"), conf);
        onlyOnLoopback();
        Path certificates = Files.createDirectories(directory.resolve("given"));
        TestCertificates.writePem(conf.resolve("ca.pem"), world.authority().certificate());
        TestCertificates.Issued issued = world.authority().leaf(GATEWAY.name()).issue();
        Path certificate = issued.writeChainPem(certificates.resolve("gateway.pem"));
        Path key = issued.writeKeyPem(certificates.resolve("gateway.key"));
        Files.writeString(
                conf.resolve("mailboxes.csv"), "address,location\nj@%1$s,local\nd@%1$s,cloud\n".formatted(SHARED));
        hybrid(
                "setup",
                "--non-interactive",
                "--yes",
                "--domain",
                SHARED,
                "--remote-routing-domain",
                World.REMOTE_ROUTING,
                "--smart-host",
                World.CLOUD.name() + ":" + world.port(),
                "--host-name",
                GATEWAY.name(),
                "--certificate",
                certificate.toString(),
                "--certificate-key",
                key.toString(),
                "--cloud-certificate-name",
                "*.mail.cloud.example",
                "--trust-anchors",
                conf.resolve("ca.pem").toString(),
                "--directory",
                "file",
                "--directory-url",
                "file://conf/mailboxes.csv");
        // mail programs see the same certificate
        edit("smtpserver.xml", text -> text.replace("file://var/tls/server.key", "file://conf/hybrid/gateway.key")
                .replace("file://var/tls/server.crt", "file://conf/hybrid/gateway.crt"));
        edit("mailflow.xml", this::withPartnerAndScrubber);
        edit("mailetcontainer.xml", this::withScrubbing);
        this.gateway = Gateway.builder()
                .conf(conf)
                .data(directory.resolve("data"))
                .build()
                .start();
        gateway.addUser("j@" + SHARED, PASSWORD);
        this.submission = new Courier("laptop." + SHARED, world.tlsWithoutCertificate(), world);
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, to.resolve(file.getFileName().toString()));
            }
        }
    }

    /** The SMTP port of this world for other servers; any port for the rest. */
    private void onlyOnLoopback() throws IOException {
        edit("smtpserver.xml", text -> text.replaceFirst(
                        "<bind>[^<]*</bind>",
                        "<bind>" + GATEWAY.address() + ":" + world.port() + "</bind>\n"
                                + "        <helloName autodetect=\"false\">" + GATEWAY.name() + "</helloName>")
                .replaceAll(
                        "<bind>127\\.0\\.0\\.1:\\d+</bind>",
                        "<bind>127.0.0.1:0</bind>\n" + "        <helloName autodetect=\"false\">" + GATEWAY.name()
                                + "</helloName>"));
        for (String file : List.of("imapserver.xml", "lmtpserver.xml")) {
            edit(file, text -> text.replaceAll("<bind>127\\.0\\.0\\.1:\\d+</bind>", "<bind>127.0.0.1:0</bind>"));
        }
        // James would set the system's name servers for everybody in this process
        Files.writeString(
                conf.resolve("dnsservice.xml"),
                """
                <dnsservice>
                  <servers><server>127.0.0.1</server></servers>
                  <autodiscover>false</autodiscover>
                  <setAsDNSJavaDefault>false</setAsDNSJavaDefault>
                </dnsservice>
                """);
        edit("webadmin.properties", text -> text.replaceAll("(?m)^enabled=.*$", "enabled=false"));
    }

    private String withPartnerAndScrubber(String policy) {
        return policy.replace(
                        "  </inboundConnectors>",
                        """
                            <inboundConnector name="fabrikam-in" type="partner">
                              <senderDomain>%s</senderDomain>
                              <clientCertificate name="%s" trust="ca" trustAnchors="file://conf/ca.pem"/>
                            </inboundConnector>
                            <inboundConnector name="scrubber-in" type="organization">
                              <clientCertificate name="%s" trust="ca" trustAnchors="file://conf/ca.pem"/>
                              <internalHeaders>preserve</internalHeaders>
                              <relay>true</relay>
                            </inboundConnector>
                          </inboundConnectors>"""
                                .formatted(World.PARTNER, World.FABRIKAM.name(), SCRUBBER.name()))
                .replace(
                        "  </outboundConnectors>",
                        """
                            <outboundConnector name="fabrikam-mx" type="partner">
                              <recipientDomain>%s</recipientDomain>
                              <useMx>true</useMx>
                              <tls level="domain" name="%s" trustAnchors="file://conf/ca.pem"/>
                            </outboundConnector>
                            <outboundConnector name="scrubber" type="organization" rulesOnly="true">
                              <smartHost port="%d">%s</smartHost>
                              <tls level="domain" trustAnchors="file://conf/ca.pem"/>
                              <internalHeaders>preserve</internalHeaders>
                            </outboundConnector>
                          </outboundConnectors>"""
                                .formatted(World.PARTNER, World.FABRIKAM.name(), world.port(), SCRUBBER.name()));
    }

    /** What asks for scrubbing goes there first; MX hosts are asked at the one port of this world. */
    private String withScrubbing(String mailets) {
        String route = "<mailet match=\"All\" class=\"dev.mailflow.mailets.RouteToConnector\"/>";
        if (!mailets.contains(route)) {
            throw new IllegalStateException("found no " + route + " in mailetcontainer.xml");
        }
        return mailets.replace(
                route,
                """
                <mailet match="HasHeader=%s" class="dev.mailflow.mailets.RouteToConnector">
                                <connector>scrubber</connector>
                                <mxPort>%d</mxPort>
                            </mailet>
                            <mailet match="All" class="dev.mailflow.mailets.RouteToConnector">
                                <mxPort>%d</mxPort>
                            </mailet>"""
                        .formatted(Scrubber.MARK, world.port(), world.port()));
    }

    private void edit(String name, UnaryOperator<String> change) throws IOException {
        Path file = conf.resolve(name);
        String before = Files.readString(file);
        String after = change.apply(before);
        if (before.equals(after)) {
            throw new IllegalStateException(name + " has not what the demonstration changes in it");
        }
        Files.writeString(file, after);
    }

    /** Runs {@code mailflow hybrid …} on the configuration. */
    String hybrid(String subcommand, String... arguments) {
        StringWriter out = new StringWriter();
        CommandLine mailflow =
                Mailflow.commandLine(Map.of(), Clock.systemUTC(), new BufferedReader(new StringReader("")));
        mailflow.setOut(new PrintWriter(out, true));
        mailflow.setErr(new PrintWriter(out, true));
        List<String> all = new ArrayList<>(List.of("hybrid", subcommand, "--conf", conf.toString()));
        all.addAll(List.of(arguments));
        int code = mailflow.execute(all.toArray(String[]::new));
        if (code != 0) {
            throw new IllegalStateException("mailflow " + String.join(" ", all) + " ended with " + code + ":\n" + out);
        }
        return out.toString();
    }

    /** Sets a topology as an administrator would, and waits until the running gateway has taken it up. */
    void topology(MailPath.Topology topology) throws IOException, InterruptedException {
        String before = version();
        byte[] file = Files.readAllBytes(conf.resolve("mailflow.xml"));
        hybrid(
                "set",
                "mx=" + (topology.mxHere() ? "onPremises" : "cloud"),
                "centralizedTransport=" + (topology.centralized() ? "on" : "off"));
        String text = Files.readString(conf.resolve("mailflow.xml"));
        String remote = "<recipientDomain>" + World.REMOTE_ROUTING + "</recipientDomain>";
        String changed = text.replace(EVERYTHING + remote, remote);
        if (topology.cloudRelays()) {
            changed = changed.replace(remote, EVERYTHING + remote)
                    .replace(
                            "<outboundConnector name=\"internet\" type=\"internet\">",
                            "<outboundConnector name=\"internet\" type=\"internet\" enabled=\"false\">");
        } else {
            changed = changed.replace(" type=\"internet\" enabled=\"false\">", " type=\"internet\">");
        }
        Files.writeString(conf.resolve("mailflow.xml"), changed);
        if (java.util.Arrays.equals(file, Files.readAllBytes(conf.resolve("mailflow.xml")))) {
            return;
        }
        long end = System.nanoTime() + RELOAD.toNanos();
        while (version().equals(before)) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("the gateway did not take up the topology '" + topology + "'");
            }
            Thread.sleep(50);
        }
    }

    private String version() {
        return Optional.ofNullable(gateway)
                .map(running ->
                        running.instance(PolicyRepository.class).current().version())
                .orElse("");
    }

    /** J writes a message, with a mail program that logs in. */
    void submit(String to, byte[] message) throws IOException {
        submission.send(
                new Courier.Hop(GATEWAY.name(), "127.0.0.1", gateway.port("submission")),
                "j@" + SHARED,
                List.of(to),
                message,
                Optional.empty(),
                Optional.of(new Courier.Login("j@" + SHARED, PASSWORD)));
    }

    /** What is in J's mailbox, read over IMAPS. */
    List<Arrival> mailbox() throws IOException {
        return Inbox.imaps(gateway.port("imaps")).messages("j@" + SHARED, PASSWORD).stream()
                .map(this::arrived)
                .toList();
    }

    /** Here the envelope is known by what delivery wrote into the header, and the session by who handed it over. */
    private Arrival arrived(byte[] content) {
        Arrival bare = new Arrival(GATEWAY.name(), "", List.of(), "", content, Optional.empty(), Optional.empty());
        return new Arrival(
                GATEWAY.name(),
                bare.fields("Return-Path").stream().findFirst().orElse(""),
                bare.fields("Delivered-To"),
                "",
                content,
                world.handedOver(bare.subject()),
                Optional.empty());
    }

    @Override
    public void close() {
        gateway.close();
    }
}
