/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

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

    private static final String KEY_STORE_URL = "file://conf/" + KEY_STORE;
    private static final String PRESERVE = "preserve";

    private final XmlFile file;
    // in order, each once
    private final Set<String> kept = new LinkedHashSet<>();

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

    /** What was left as somebody made it by hand although the wizard would write something else, for people. */
    List<String> kept() {
        return List.copyOf(kept);
    }

    private void keep(String direction, String connector, String made, String written) {
        kept.add("Kept in " + direction + " connector '" + connector + "', because it was made by hand: " + made
                + ". The wizard would write " + written + "; if you want that, edit " + ConfigurationChanges.POLICY
                + ".");
    }

    /**
     * Writes the whole plan.
     *
     * @param newCertificate whether the gateway gets another certificate than it had
     */
    void write(HybridPlan plan, boolean newCertificate) throws XmlSyntaxException {
        Optional<PlacedElement> cloudIn = connector("inbound", plan.inboundConnector());
        Optional<PlacedElement> cloudOut = connector("outbound", plan.outboundConnector());
        Wanted inbound = inbound(plan, cloudIn);
        Wanted outbound = outbound(plan, cloudOut, tls(plan, cloudIn, cloudOut, newCertificate));
        Wanted accepted = Wanted.element("acceptedDomains");
        plan.domains().forEach(domain -> accepted.child(acceptedDomain(plan, domain)));
        file.ensure(root(), accepted, SECTIONS);
        file.ensure(root(), Wanted.element("inboundConnectors").child(inbound), SECTIONS);
        file.ensure(root(), Wanted.element("outboundConnectors").child(outbound), SECTIONS);
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

    private Wanted inbound(HybridPlan plan, Optional<PlacedElement> present) {
        Wanted connector = Wanted.element("inboundConnector")
                .keyed("name", plan.inboundConnector())
                .attribute("type", "organization")
                .withoutAttribute("enabled");
        Optional<PlacedElement> pinned =
                present.flatMap(element -> element.child("clientCertificate")).filter(PolicyPieces::isPinned);
        boolean byName = plan.secureMail() || plan.cloudAddresses().isEmpty();
        if (pinned.isPresent()) {
            // whom the administrator knows by a pin is not to be anybody whom an authority calls by the name
            keep(
                    "inbound",
                    plan.inboundConnector(),
                    shown(pinned.get()),
                    byName
                            ? "<clientCertificate name=\"" + plan.cloudCertificateName() + "\" trust=\"ca\">"
                            : "no <clientCertificate>");
        } else if (byName) {
            connector.child(Wanted.element("clientCertificate")
                    .attribute("name", plan.cloudCertificateName())
                    .attribute("trust", "ca")
                    .attribute("trustAnchors", plan.trustAnchors()));
        } else {
            connector.without("clientCertificate");
        }
        plan.cloudAddresses()
                .forEach(address -> connector.child(Wanted.element("clientIp").keyedByText(address)));
        connector.only("clientIp");
        granted(connector, "inbound", plan.inboundConnector(), present, "internalHeaders", PRESERVE);
        granted(connector, "inbound", plan.inboundConnector(), present, "relay", "true");
        return connector;
    }

    private static boolean isPinned(PlacedElement clientCertificate) {
        return clientCertificate.attribute("sha256").isPresent()
                || clientCertificate
                        .attribute("trust")
                        .filter(trust -> !trust.equals("ca"))
                        .isPresent();
    }

    /** What a connector grants the cloud, unless somebody took it back. */
    private void granted(
            Wanted connector,
            String direction,
            String name,
            Optional<PlacedElement> present,
            String child,
            String granted) {
        Optional<PlacedElement> otherwise = present.flatMap(element -> element.child(child))
                .filter(element -> !element.text().isEmpty() && !element.text().equals(granted));
        if (otherwise.isPresent()) {
            keep(
                    direction,
                    name,
                    "<" + child + ">" + otherwise.get().text() + "</" + child + ">",
                    "<" + child + ">" + granted + "</" + child + ">");
        } else {
            connector.child(Wanted.element(child).text(granted));
        }
    }

    private Wanted outbound(HybridPlan plan, Optional<PlacedElement> present, Wanted tls) {
        HostAndPort host = plan.smartHost();
        String name = host.host().indexOf(':') >= 0 ? "[" + host.host() + "]" : host.host();
        Wanted connector = Wanted.element("outboundConnector")
                .keyed("name", plan.outboundConnector())
                .attribute("type", "organization")
                .withoutAttribute("enabled")
                .withoutAttribute("rulesOnly")
                .child(Wanted.element("recipientDomain").keyedByText(plan.remoteRoutingDomain()));
        boolean sameHost = present.flatMap(element -> element.child("smartHost"))
                .filter(element -> isAt(element, host))
                .isPresent();
        if (!sameHost) {
            // further ones belong to the cloud as it was
            connector
                    .child(Wanted.element("smartHost")
                            .attribute("port", Integer.toString(host.port()))
                            .text(name))
                    .only("smartHost");
        }
        connector.without("useMx").child(tls);
        granted(connector, "outbound", plan.outboundConnector(), present, "internalHeaders", PRESERVE);
        return connector;
    }

    private static boolean isAt(PlacedElement smartHost, HostAndPort host) {
        try {
            return hostAndPort(smartHost).equals(host);
        } catch (IllegalArgumentException e) {
            // a reference, or a mistake that the policy reader tells
            return false;
        }
    }

    private static HostAndPort hostAndPort(PlacedElement smartHost) {
        return HostAndPort.parse(smartHost.text()
                + smartHost.attribute("port").map(text -> ":" + text).orElse(""));
    }

    private Wanted tls(
            HybridPlan plan,
            Optional<PlacedElement> inbound,
            Optional<PlacedElement> outbound,
            boolean newCertificate) {
        Optional<PlacedElement> present = outbound.flatMap(element -> element.child("tls"));
        Wanted tls = tls(
                present,
                inbound,
                plan.outboundConnector(),
                new CloudTls(plan.secureMail(), Optional.of(plan.cloudCertificateName()), plan.trustAnchors()));
        Wanted ours = Wanted.element("clientCertificate")
                .attribute("keystore", KEY_STORE_URL)
                .attribute("alias", GatewayCertificate.ALIAS)
                .attribute("secret", "${file:conf/" + KEY_STORE_SECRET + "}");
        Optional<PlacedElement> another = present.flatMap(element -> element.child("clientCertificate"))
                .filter(element -> element.attribute("keystore")
                        .filter(url -> !url.equals(KEY_STORE_URL))
                        .isPresent());
        if (another.isEmpty() || newCertificate) {
            return tls.child(ours);
        }
        keep(
                "outbound",
                plan.outboundConnector(),
                "<clientCertificate keystore=\""
                        + another.get().attribute("keystore").orElseThrow() + "\">",
                "<clientCertificate keystore=\"" + KEY_STORE_URL + "\">");
        return tls;
    }

    /** What the wizard wrote becomes what it writes now; what somebody made by hand is at most raised to it. */
    private Wanted tls(
            Optional<PlacedElement> present, Optional<PlacedElement> inbound, String connector, CloudTls wanted) {
        if (present.isEmpty() || isWizards(present.get(), inbound)) {
            return wanted.written();
        }
        if (!wanted.isMetBy(present.get())) {
            return wanted.raised(present.get());
        }
        if (!wanted.isWrittenIn(present.get())) {
            keep("outbound", connector, shown(present.get()), wanted.toString());
        }
        return Wanted.element("tls");
    }

    /** Whether the wizard wrote this, with secure mail or without, for the cloud that the inbound connector knows. */
    private static boolean isWizards(PlacedElement tls, Optional<PlacedElement> inbound) {
        return Stream.of(true, false)
                .anyMatch(secure -> cloudTls(secure, inbound).isWrittenIn(tls));
    }

    private static CloudTls cloudTls(boolean secure, Optional<PlacedElement> inbound) {
        Optional<PlacedElement> certificate = inbound.flatMap(element -> element.child("clientCertificate"));
        return new CloudTls(
                secure,
                certificate.flatMap(element -> element.attribute("name")),
                certificate.flatMap(element -> element.attribute("trustAnchors")));
    }

    /** Whether the cloud connector still has the TLS that the wizard writes where secure mail is on. */
    boolean hasTlsOfSecureMail() {
        return cloudConnector("outbound")
                .flatMap(connector -> connector.child("tls"))
                .filter(cloudTls(true, cloudConnector("inbound"))::isWrittenIn)
                .isPresent();
    }

    private static String shown(PlacedElement element) {
        long pins = element.children("sha256").count();
        return element.startTagForPeople() + (pins == 0 ? "" : " with " + pins + " <sha256>");
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
        Optional<PlacedElement> inbound = cloudConnector("inbound");
        file.change(
                outbound.get(),
                Wanted.element("outboundConnector")
                        .child(tls(
                                outbound.get().child("tls"),
                                inbound,
                                outbound.get().attribute("name").orElseThrow(),
                                cloudTls(on, inbound))));
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
                .flatMap(name -> connector(direction, name));
    }

    private Optional<PlacedElement> connector(String direction, String name) {
        return root().child(direction + "Connectors").stream()
                .flatMap(section -> section.children(direction + "Connector"))
                .filter(connector -> connector.attribute("name").equals(Optional.of(name)))
                .findFirst();
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
        try {
            return Optional.of(new HybridPlan(
                    section.get()
                            .children("sharedDomain")
                            .map(element -> element.text().toLowerCase(Locale.ROOT))
                            .toList(),
                    Optional.empty(),
                    text(section.get(), "remoteRoutingDomain").orElse(""),
                    hostAndPort(host.get()),
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
                    // of the outbound connector, whose anchors may be narrower, only where the other one says nothing
                    certificate.or(() -> tls).flatMap(element -> element.attribute("trustAnchors")),
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
