/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static dev.mailflow.demo.World.CLOUD;
import static dev.mailflow.demo.World.GATEWAY;
import static dev.mailflow.demo.World.REMOTE_ROUTING;
import static dev.mailflow.demo.World.SHARED;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The cloud premises: D's mailbox, mail from the Internet when the MX record names it, and the connectors to and from
 * the gateway. It believes the gateway by its certificate, hands over what lives there, and marks what is internal as
 * Exchange Online does, by cross-premises headers and XOORG.
 */
final class Cloud implements Neighbour.Conduct {
    static final String MAILBOX = "d";

    private final World world;
    private final Courier courier;
    private final List<Arrival> mailbox = new CopyOnWriteArrayList<>();
    private volatile boolean centralized;

    Cloud(World world) {
        this.world = world;
        this.courier = new Courier(CLOUD.name(), world.tls(CLOUD), world);
    }

    void centralized(boolean on) {
        centralized = on;
    }

    /** What came to D. */
    List<Arrival> mailbox() {
        return List.copyOf(mailbox);
    }

    private static boolean isGateway(Optional<String> client) {
        return client.equals(Optional.of(GATEWAY.name()));
    }

    @Override
    public Optional<String> refuse(String recipient, Optional<String> client) {
        String domain = recipient.substring(recipient.lastIndexOf('@') + 1);
        boolean ours = domain.equals(SHARED) || domain.equals(REMOTE_ROUTING);
        return ours || isGateway(client)
                ? Optional.empty()
                : Optional.of("550 5.7.64 TenantAttribution; Relay Access Denied");
    }

    @Override
    public void take(Arrival arrival) throws IOException {
        boolean fromGateway = isGateway(arrival.client());
        List<String> here = new ArrayList<>();
        List<String> onPremises = new ArrayList<>();
        List<String> elsewhere = new ArrayList<>();
        for (String recipient : arrival.to()) {
            String domain = recipient.substring(recipient.lastIndexOf('@') + 1);
            boolean ours = domain.equals(SHARED) || domain.equals(REMOTE_ROUTING);
            if (!ours) {
                elsewhere.add(recipient);
            } else if (recipient.startsWith(MAILBOX + "@") && (fromGateway || !centralized)) {
                here.add(recipient);
            } else {
                onPremises.add(recipient);
            }
        }
        if (!here.isEmpty()) {
            mailbox.add(new Arrival(
                    arrival.at(),
                    arrival.from(),
                    here,
                    arrival.mailParameters(),
                    arrival.content(),
                    arrival.tls(),
                    arrival.client()));
        }
        if (!onPremises.isEmpty()) {
            toGateway(arrival.from(), onPremises, marked(arrival.content(), "Anonymous"));
        }
        for (String recipient : elsewhere) {
            relay(arrival.from(), recipient, arrival.content());
        }
    }

    /** D writes a message. */
    void submit(String to, byte[] message) throws IOException {
        String domain = to.substring(to.lastIndexOf('@') + 1);
        String from = MAILBOX + "@" + SHARED;
        if (domain.equals(SHARED) || centralized) {
            toGateway(from, List.of(to), marked(message, "Internal"));
        } else {
            relay(from, to, message);
        }
    }

    private void toGateway(String from, List<String> to, byte[] content) throws IOException {
        courier.send(world.hop(GATEWAY), from, to, content, Optional.of(SHARED), Optional.empty());
    }

    private void relay(String from, String to, byte[] content) throws IOException {
        String domain = to.substring(to.lastIndexOf('@') + 1);
        // nobody outside is told what the premises say to each other
        byte[] bare = new String(content, StandardCharsets.ISO_8859_1)
                .replaceAll(
                        "(?im)\\G((?:(?!X-MS-Exchange-)[^\r\n"
                                + "]+\r"
                                + "?\n"
                                + ")*)X-MS-Exchange-[^\r\n"
                                + "]*\r"
                                + "?\n"
                                + "(?:[ \t][^\r\n"
                                + "]*\r"
                                + "?\n"
                                + ")*",
                        "$1")
                .getBytes(StandardCharsets.ISO_8859_1);
        courier.send(world.hop(world.mx(domain)), from, List.of(to), bare, Optional.empty(), Optional.empty());
    }

    /** With the headers that carry the internal status to the other premises, behind the Received fields. */
    private static byte[] marked(byte[] content, String authenticatedAs) {
        String fields = "X-MS-Exchange-CrossPremises-AuthAs: " + authenticatedAs + "\r\n"
                + "X-MS-Exchange-CrossPremises-AuthSource: " + CLOUD.name() + "\r\n"
                + "X-MS-Exchange-CrossPremises-SCL: " + (authenticatedAs.equals("Internal") ? "-1" : "1") + "\r\n";
        ByteArrayOutputStream marked = new ByteArrayOutputStream();
        marked.writeBytes(fields.getBytes(StandardCharsets.US_ASCII));
        marked.writeBytes(content);
        return marked.toByteArray();
    }
}
