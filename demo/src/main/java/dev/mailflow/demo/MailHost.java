/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

import dev.mailflow.demo.World.Host;

/** An ordinary server with mailboxes of one domain, on the Internet or at the partner. */
final class MailHost implements Neighbour.Conduct {
    private final World world;
    private final Host host;
    private final String domain;
    private final Courier courier;
    private final List<Arrival> mailboxes = new CopyOnWriteArrayList<>();

    MailHost(World world, Host host, String domain) {
        this.world = world;
        this.host = host;
        this.domain = domain;
        this.courier = new Courier(host.name(), world.tls(host), world);
    }

    List<Arrival> mailboxes() {
        return List.copyOf(mailboxes);
    }

    @Override
    public Optional<String> refuse(String recipient, Optional<String> client) {
        return recipient.endsWith("@" + domain)
                ? Optional.empty()
                : Optional.of("550 5.7.1 " + host.name() + " relays for nobody");
    }

    @Override
    public void take(Arrival arrival) {
        mailboxes.add(arrival);
    }

    /** Sends to the MX host of the shared domain, as any server does. */
    void submit(String from, List<String> to, byte[] message) throws IOException {
        courier.send(world.hop(world.mx(World.SHARED)), from, to, message, Optional.empty(), Optional.empty());
    }
}
