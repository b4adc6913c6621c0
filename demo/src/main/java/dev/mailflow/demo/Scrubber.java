/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static dev.mailflow.demo.World.GATEWAY;
import static dev.mailflow.demo.World.SCRUBBER;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Takes mail from the gateway only, changes the mark into a note that it did, and gives it back. */
final class Scrubber implements Neighbour.Conduct {
    /** The header that asks for scrubbing. */
    static final String MARK = "X-Scrub-Me";

    private final World world;
    private final Courier courier;

    Scrubber(World world) {
        this.world = world;
        this.courier = new Courier(SCRUBBER.name(), world.tls(SCRUBBER), world);
    }

    @Override
    public Optional<String> refuse(String recipient, Optional<String> client) {
        return Optional.empty();
    }

    @Override
    public void take(Arrival arrival) throws IOException {
        String scrubbed = new String(arrival.content(), StandardCharsets.ISO_8859_1)
                .replaceFirst("(?m)^" + MARK + ":.*$", "X-Scrubbed: by " + SCRUBBER.name());
        courier.send(
                world.hop(GATEWAY),
                arrival.from(),
                arrival.to(),
                scrubbed.getBytes(StandardCharsets.ISO_8859_1),
                Optional.empty(),
                Optional.empty());
    }
}
