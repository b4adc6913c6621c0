/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import dev.mailflow.cli.xml.PlacedElement;
import dev.mailflow.cli.xml.Wanted;
import dev.mailflow.cli.xml.XmlFile;
import dev.mailflow.cli.xml.XmlSyntaxException;

/**
 * What James's own files must say for a hybrid deployment: the certificate and the handlers of the port that other
 * servers connect to ({@code smtpserver.xml}), and the mailets that find out who lives where
 * ({@code mailetcontainer.xml}).
 */
final class ServerPieces {
    static final String KEY = "hybrid/gateway.key";
    static final String CERTIFICATE = "hybrid/gateway.crt";

    private static final String HOOKS = "dev.mailflow.hooks.";
    private static final String MAILETS = "dev.mailflow.mailets.";
    private static final String CORE = "CoreCmdHandlerLoader";

    /** In the order in which they must stand. */
    private static final List<String> HANDLERS = List.of(
            HOOKS + "ConnectionFilterHook",
            HOOKS + "InboundConnectorHook",
            HOOKS + "XoorgExtension",
            HOOKS + "AcceptedRecipientHook",
            HOOKS + "KnownParameters",
            HOOKS + "HopLimitHook",
            HOOKS + "StampFactsHook");

    /** In the order in which they must stand, behind the aliases and before local delivery. */
    static final List<String> TRANSPORT = List.of(MAILETS + "CentralizedTransport", MAILETS + "LocateRecipients");

    private ServerPieces() {}

    /** A file that is not as the wizard needs it; the message says what to do by hand. */
    static final class Unsuitable extends Exception {
        private static final long serialVersionUID = 1L;

        Unsuitable(String message) {
            super(message);
        }
    }

    /**
     * Gives the server that other servers connect to our certificate, and the handlers that recognize the cloud.
     *
     * @param server its {@code jmxName}; empty: the one with our handlers, else the one called smtp
     */
    static void smtpServer(XmlFile file, Optional<String> server) throws XmlSyntaxException, Unsuitable {
        PlacedElement found = server(file.root(), server);
        String name = found.child("jmxName").map(PlacedElement::text).orElse("");
        file.change(
                found,
                Wanted.element("smtpserver")
                        .child(Wanted.element("tls")
                                .attribute("startTLS", "true")
                                .child(Wanted.element("privateKey").text("file://conf/" + KEY))
                                .child(Wanted.element("certificates").text("file://conf/" + CERTIFICATE))
                                .without("keystore")
                                .without("keystoreType")
                                .without("secret")));
        for (int i = 0; i < HANDLERS.size(); i++) {
            PlacedElement chain = server(
                            file.root(),
                            Optional.of(name).filter(text -> !text.isEmpty()).or(() -> server))
                    .child("handlerchain")
                    .orElseThrow(() -> new Unsuitable("smtpserver.xml: the server '" + name
                            + "' has no <handlerchain>, expected one with CoreCmdHandlerLoader"));
            handler(file, chain, i);
        }
    }

    private static void handler(XmlFile file, PlacedElement chain, int index) throws XmlSyntaxException, Unsuitable {
        if (withClass(chain.children("handler"), HANDLERS.get(index)).isPresent()) {
            return;
        }
        Wanted handler = Wanted.element("handler").attribute("class", HANDLERS.get(index));
        for (int before = index - 1; before >= 0; before--) {
            Optional<PlacedElement> sibling = withClass(chain.children("handler"), HANDLERS.get(before));
            if (sibling.isPresent()) {
                file.insertAfter(sibling.get(), handler);
                return;
            }
        }
        PlacedElement core = chain.children("handler")
                .filter(each -> each.attribute("class")
                        .filter(text -> text.endsWith(CORE))
                        .isPresent())
                .findFirst()
                .orElseThrow(() -> new Unsuitable("smtpserver.xml: found no handler " + CORE
                        + " before which ours could stand; add it to the <handlerchain>"));
        file.insertBefore(chain, core, handler);
    }

    private static PlacedElement server(PlacedElement root, Optional<String> wanted) throws Unsuitable {
        List<PlacedElement> servers = root.name().equals("smtpserver")
                ? List.of(root)
                : root.children("smtpserver").toList();
        Stream<PlacedElement> choice = wanted.isPresent()
                ? servers.stream().filter(each -> isCalled(each, wanted.get()))
                : Stream.concat(
                        servers.stream().filter(each -> each.child("handlerchain")
                                .flatMap(chain -> withClass(chain.children("handler"), HANDLERS.get(1)))
                                .isPresent()),
                        servers.stream().filter(each -> isCalled(each, "smtp")));
        List<String> names = new ArrayList<>();
        servers.forEach(each -> each.child("jmxName").map(PlacedElement::text).ifPresent(names::add));
        return choice.findFirst()
                .orElseThrow(() -> new Unsuitable("smtpserver.xml: found no server "
                        + wanted.map(name -> "called '" + name + "'").orElse("that takes mail from other servers")
                        + "; give --smtp-server with one of " + String.join(", ", names)));
    }

    private static boolean isCalled(PlacedElement server, String name) {
        return server.child("jmxName").map(PlacedElement::text).equals(Optional.of(name));
    }

    private static Optional<PlacedElement> withClass(Stream<PlacedElement> elements, String className) {
        return elements.filter(each -> each.attribute("class").equals(Optional.of(className)))
                .findFirst();
    }

    /** Adds the mailets that look up who lives where and that route the cloud's mail. */
    static void mailetContainer(XmlFile file) throws XmlSyntaxException, Unsuitable {
        for (int i = 0; i < TRANSPORT.size(); i++) {
            if (mailet(file, TRANSPORT.get(i)).isEmpty()) {
                insert(file, i);
            }
        }
        if (mailet(file, MAILETS + "RouteToConnector").isEmpty()) {
            throw new Unsuitable("mailetcontainer.xml: found no mailet " + MAILETS
                    + "RouteToConnector, without which mail does not leave by the connectors; add it to the processor"
                    + " relay as james-conf/mailetcontainer.xml has it");
        }
    }

    /** Behind the one before it, else behind the aliases, else before local delivery. */
    private static void insert(XmlFile file, int index) throws XmlSyntaxException, Unsuitable {
        PlacedElement transport = processor(file, "transport");
        Wanted mailet = all(TRANSPORT.get(index));
        List<String> before = new ArrayList<>(TRANSPORT.subList(0, index));
        Collections.reverse(before);
        before.add("RecipientRewriteTable");
        before.add("org.apache.james.transport.mailets.RecipientRewriteTable");
        for (String className : before) {
            Optional<PlacedElement> sibling = withClass(transport.children("mailet"), className);
            if (sibling.isPresent()) {
                file.insertAfter(sibling.get(), mailet);
                return;
            }
        }
        PlacedElement local = transport
                .children("mailet")
                .filter(each -> each.attribute("match")
                        .filter(text -> text.contains("RecipientIsLocal"))
                        .isPresent())
                .findFirst()
                .orElseThrow(() -> new Unsuitable(
                        "mailetcontainer.xml: found neither RecipientRewriteTable nor RecipientIsLocal in the processor"
                                + " transport, so that it is not clear where " + TRANSPORT.get(index)
                                + " belongs; add it by hand before local delivery"));
        file.insertBefore(transport, local, mailet);
    }

    private static Wanted all(String className) {
        return Wanted.element("mailet").attribute("match", "All").attribute("class", className);
    }

    private static Optional<PlacedElement> mailet(XmlFile file, String className) {
        return withClass(processors(file.root()).flatMap(processor -> processor.children("mailet")), className);
    }

    private static PlacedElement processor(XmlFile file, String state) throws Unsuitable {
        return processors(file.root())
                .filter(each -> each.attribute("state").equals(Optional.of(state)))
                .findFirst()
                .orElseThrow(() -> new Unsuitable("mailetcontainer.xml: found no <processor state=\"" + state
                        + "\">, expected one as james-conf/mailetcontainer.xml has it"));
    }

    private static Stream<PlacedElement> processors(PlacedElement root) {
        return root.child("processors").stream().flatMap(section -> section.children("processor"));
    }
}
