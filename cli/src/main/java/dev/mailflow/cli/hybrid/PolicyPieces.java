/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

import dev.mailflow.cli.hybrid.HybridPlan.Directory;
import dev.mailflow.cli.hybrid.HybridPlan.HostAndPort;
import dev.mailflow.cli.hybrid.HybridPlan.Mx;
import dev.mailflow.cli.xml.PlacedElement;
import dev.mailflow.cli.xml.Wanted;
import dev.mailflow.cli.xml.XmlFile;
import dev.mailflow.cli.xml.XmlSyntaxException;

/** The pieces of {@code mailflow.xml} that make a hybrid deployment, written and read back by their text. */
final class PolicyPieces {
    static final String KEY_STORE = "hybrid/gateway.p12";
    static final String KEY_STORE_SECRET = "hybrid/gateway.p12.secret";

    private static final List<String> SECTIONS = List.of(
            "acceptedDomains",
            "connectionFilter",
            "inboundConnectors",
            "outboundConnectors",
            "addressRewrite",
            "transportRules",
            "hybrid");
    private static final List<String> MAILBOX_ATTRIBUTES = List.of("url", "base", "filter", "user", "secret");

    private final XmlFile file;

    PolicyPieces(XmlFile file) {
        this.file = file;
    }

    private PlacedElement root() {
        return file.root();
    }

    private Optional<PlacedElement> hybrid() {
        return root().child("hybrid");
    }

    /** Whether there is a {@code <hybrid>} section. */
    boolean isHybrid() {
        return hybrid().isPresent();
    }

    /** Writes the whole plan. */
    void write(HybridPlan plan) throws XmlSyntaxException {
        Wanted accepted = Wanted.element("acceptedDomains");
        plan.domains().forEach(domain -> accepted.child(acceptedDomain(plan, domain)));
        file.ensure(root(), accepted, SECTIONS);
        file.ensure(root(), Wanted.element("inboundConnectors").child(inbound(plan)), SECTIONS);
        file.ensure(root(), Wanted.element("outboundConnectors").child(outbound(plan)), SECTIONS);
        file.ensure(root(), hybrid(plan), SECTIONS);
    }

    private Wanted acceptedDomain(HybridPlan plan, String domain) {
        Wanted wanted = Wanted.element("domain").keyedByText(domain);
        boolean known = root().child("acceptedDomains").stream()
                .flatMap(section -> section.children("domain"))
                .anyMatch(element -> element.text().equalsIgnoreCase(domain));
        Optional<String> type = plan.domainType();
        if (type.isEmpty() && !known) {
            // who only knows his own users takes everybody else to be in the cloud
            type = Optional.of(plan.directory().source().equals("james") ? "internalRelay" : "authoritative");
        }
        return type.isEmpty() ? wanted : wanted.attribute("type", type.filter(text -> !text.equals("authoritative")));
    }

    private static Wanted inbound(HybridPlan plan) {
        Wanted connector = Wanted.element("inboundConnector")
                .keyed("name", plan.inboundConnector())
                .attribute("type", "organization")
                .withoutAttribute("enabled");
        if (plan.secureMail() || plan.cloudAddresses().isEmpty()) {
            connector.child(Wanted.element("clientCertificate")
                    .attribute("name", plan.cloudCertificateName())
                    .attribute("trust", "ca")
                    .attribute("trustAnchors", plan.trustAnchors())
                    .withoutAttribute("sha256"));
        } else {
            connector.without("clientCertificate");
        }
        plan.cloudAddresses()
                .forEach(address -> connector.child(Wanted.element("clientIp").keyedByText(address)));
        return connector
                .only("clientIp")
                .without("requireTls")
                .child(Wanted.element("internalHeaders").text("preserve"))
                .child(Wanted.element("relay").text("true"));
    }

    private static Wanted outbound(HybridPlan plan) {
        HostAndPort host = plan.smartHost();
        String name = host.host().indexOf(':') >= 0 ? "[" + host.host() + "]" : host.host();
        return Wanted.element("outboundConnector")
                .keyed("name", plan.outboundConnector())
                .attribute("type", "organization")
                .withoutAttribute("enabled")
                .withoutAttribute("rulesOnly")
                .child(Wanted.element("recipientDomain").keyedByText(plan.remoteRoutingDomain()))
                .child(Wanted.element("smartHost")
                        .attribute("port", Integer.toString(host.port()))
                        .text(name))
                .without("useMx")
                .only("smartHost")
                .child(tls(plan.secureMail(), plan.cloudCertificateName(), plan.trustAnchors())
                        .child(Wanted.element("clientCertificate")
                                .attribute("keystore", "file://conf/" + KEY_STORE)
                                .attribute("alias", GatewayCertificate.ALIAS)
                                .attribute("secret", "${file:conf/" + KEY_STORE_SECRET + "}")))
                .child(Wanted.element("internalHeaders").text("preserve"));
    }

    private static Wanted tls(boolean secure, String name, Optional<String> trustAnchors) {
        Wanted tls = Wanted.element("tls")
                .attribute("level", secure ? "domain" : "opportunistic")
                .without("sha256");
        return secure
                ? tls.attribute("name", name).attribute("trustAnchors", trustAnchors)
                : tls.withoutAttribute("name").withoutAttribute("trustAnchors");
    }

    private static Wanted hybrid(HybridPlan plan) {
        Wanted hybrid = Wanted.element("hybrid").only("sharedDomain");
        plan.domains()
                .forEach(domain -> hybrid.child(Wanted.element("sharedDomain").keyedByText(domain)));
        Directory directory = plan.directory();
        return hybrid.child(Wanted.element("remoteRoutingDomain").text(plan.remoteRoutingDomain()))
                .child(Wanted.element("cloud")
                        .attribute("inboundConnector", plan.inboundConnector())
                        .attribute("outboundConnector", plan.outboundConnector()))
                .child(Wanted.element("mx").text(plan.mx().toString()))
                .child(Wanted.element("centralizedTransport").text(Boolean.toString(plan.centralizedTransport())))
                .child(Wanted.element("secureMail").text(Boolean.toString(plan.secureMail())))
                .child(Wanted.element("mailboxes")
                        .attribute("source", directory.source())
                        .attribute("url", directory.url())
                        .attribute("base", directory.base())
                        .attribute("filter", directory.filter())
                        .attribute("user", directory.user())
                        .attribute("secret", directory.secret()));
    }

    void setMx(Mx mx) throws XmlSyntaxException {
        set(Wanted.element("mx").text(mx.toString()));
    }

    void setCentralizedTransport(boolean on) throws XmlSyntaxException {
        set(Wanted.element("centralizedTransport").text(Boolean.toString(on)));
    }

    /**
     * Turns the demand for named certificates on or off. What the cloud's certificate is called stands in the inbound
     * connector, which keeps it: the cloud is known by it either way.
     */
    void setSecureMail(boolean on) throws XmlSyntaxException {
        set(Wanted.element("secureMail").text(Boolean.toString(on)));
        Optional<PlacedElement> certificate = cloudConnector("inbound").flatMap(in -> in.child("clientCertificate"));
        Optional<PlacedElement> outbound = cloudConnector("outbound");
        if (outbound.isEmpty() || (on && certificate.isEmpty())) {
            // the policy reader says what is missing
            return;
        }
        file.change(
                outbound.get(),
                Wanted.element("outboundConnector")
                        .child(tls(
                                on,
                                certificate
                                        .flatMap(element -> element.attribute("name"))
                                        .orElse(""),
                                certificate.flatMap(element -> element.attribute("trustAnchors")))));
    }

    private void set(Wanted setting) throws XmlSyntaxException {
        file.ensure(root(), Wanted.element("hybrid").child(setting), SECTIONS);
    }

    /** Takes out the section and the connectors it names. */
    void remove() throws XmlSyntaxException {
        for (String direction : List.of("inbound", "outbound")) {
            Optional<PlacedElement> connector = cloudConnector(direction);
            if (connector.isPresent()) {
                file.remove(connector.get());
            }
        }
        if (hybrid().isPresent()) {
            file.remove(hybrid().get());
        }
    }

    private Optional<PlacedElement> cloudConnector(String direction) {
        return hybrid().flatMap(section -> section.child("cloud"))
                .flatMap(cloud -> cloud.attribute(direction + "Connector"))
                .flatMap(name -> root().child(direction + "Connectors").stream()
                        .flatMap(section -> section.children(direction + "Connector"))
                        .filter(connector -> connector.attribute("name").equals(Optional.of(name)))
                        .findFirst());
    }

    /**
     * What stands there now; empty when there is no hybrid section, or one that is not whole.
     *
     * @param hostName of this gateway, which the policy does not say
     */
    Optional<HybridPlan> read(String hostName) {
        Optional<PlacedElement> section = hybrid();
        Optional<PlacedElement> outbound = cloudConnector("outbound");
        Optional<PlacedElement> host = outbound.flatMap(connector -> connector.child("smartHost"));
        if (section.isEmpty() || outbound.isEmpty() || host.isEmpty()) {
            return Optional.empty();
        }
        Optional<PlacedElement> inbound = cloudConnector("inbound");
        Optional<PlacedElement> certificate = inbound.flatMap(connector -> connector.child("clientCertificate"));
        Optional<PlacedElement> tls = outbound.flatMap(connector -> connector.child("tls"));
        Optional<PlacedElement> mailboxes = section.flatMap(hybrid -> hybrid.child("mailboxes"));
        String port = host.flatMap(element -> element.attribute("port"))
                .map(text -> ":" + text)
                .orElse("");
        try {
            return Optional.of(new HybridPlan(
                    section.get()
                            .children("sharedDomain")
                            .map(element -> element.text().toLowerCase(Locale.ROOT))
                            .toList(),
                    Optional.empty(),
                    text(section.get(), "remoteRoutingDomain").orElse(""),
                    HostAndPort.parse(host.get().text() + port),
                    hostName,
                    text(section.get(), "mx").map(Mx::parse).orElse(Mx.ON_PREMISES),
                    text(section.get(), "centralizedTransport")
                            .map(Boolean::parseBoolean)
                            .orElse(false),
                    text(section.get(), "secureMail").map(Boolean::parseBoolean).orElse(true),
                    certificate
                            .flatMap(element -> element.attribute("name"))
                            .or(() -> tls.flatMap(element -> element.attribute("name")))
                            .orElse(HybridPlan.DEFAULT_CLOUD_CERTIFICATE),
                    certificate
                            .flatMap(element -> element.attribute("trustAnchors"))
                            .or(() -> tls.flatMap(element -> element.attribute("trustAnchors"))),
                    List.of(),
                    inbound.stream()
                            .flatMap(connector -> connector.children("clientIp"))
                            .map(PlacedElement::text)
                            .toList(),
                    new Directory(
                            mailboxes
                                    .flatMap(element -> element.attribute("source"))
                                    .orElse("james"),
                            mailbox(mailboxes, 0),
                            mailbox(mailboxes, 1),
                            mailbox(mailboxes, 2),
                            mailbox(mailboxes, 3),
                            mailbox(mailboxes, 4)),
                    inbound.flatMap(connector -> connector.attribute("name")).orElse(HybridPlan.DEFAULT_INBOUND),
                    outbound.get().attribute("name").orElse(HybridPlan.DEFAULT_OUTBOUND)));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Optional<String> mailbox(Optional<PlacedElement> mailboxes, int attribute) {
        return mailboxes.flatMap(element -> element.attribute(MAILBOX_ATTRIBUTES.get(attribute)));
    }

    private static Optional<String> text(PlacedElement parent, String child) {
        return parent.child(child).map(PlacedElement::text).filter(text -> !text.isEmpty());
    }
}
