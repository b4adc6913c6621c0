/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import static dev.mailflow.demo.World.CLOUD;
import static dev.mailflow.demo.World.FABRIKAM;
import static dev.mailflow.demo.World.GATEWAY;
import static dev.mailflow.demo.World.NET;
import static dev.mailflow.demo.World.SCRUBBER;

import java.util.List;

import dev.mailflow.demo.World.Host;

/**
 * One row of the path table: who writes to whom under which topology, and what must come of it.
 *
 * @param title the row in the words of the table
 * @param topology how both premises are set while the mail is sent
 * @param sender one of {@code j} (here), {@code d} (in the cloud), {@code e} (on the Internet), {@code p} (the partner)
 * @param scrubbed whether the sender marks it for the scrubber
 * @param expected what must arrive
 */
record MailPath(String title, Topology topology, char sender, boolean scrubbed, List<Expected> expected) {

    /** The settings of both premises. */
    record Topology(boolean mxHere, boolean centralized, boolean cloudRelays) {
        @Override
        public String toString() {
            return "MX " + (mxHere ? "here" : "cloud") + ", centralized " + (centralized ? "on" : "off")
                    + (cloudRelays ? ", cloud as outbound relay" : "");
        }
    }

    /** How the destination must see the message. */
    enum Status {
        /** Written inside: {@code AuthAs: Internal} came with it. */
        INTERNAL,
        /** From outside, vouched for by the other premises: its marks came with it, and say that it is from outside. */
        VOUCHED,
        /** From outside, or for outside: nothing that speaks for the inside is in it. */
        BARE
    }

    /**
     * One copy.
     *
     * @param recipient whose mailbox
     * @param address the envelope recipient that the last server was told
     * @param hops the servers in order
     */
    record Expected(char recipient, String address, List<Host> hops, Status status) {}

    private static final Topology MX_HERE = new Topology(true, false, false);
    private static final Topology MX_CLOUD = new Topology(false, false, false);
    private static final Topology MX_CLOUD_CENTRALIZED = new Topology(false, true, false);
    private static final Topology CLOUD_RELAYS = new Topology(true, false, true);

    private static final String J = "j@" + World.SHARED;
    private static final String D = "d@" + World.SHARED;
    private static final String D_REMOTE = "d@" + World.REMOTE_ROUTING;
    private static final String E = "e@" + World.INTERNET;
    private static final String P = "p@" + World.PARTNER;

    /** The table of hybrid paths, and those of the partner and the scrubber. */
    static final List<MailPath> TABLE = List.of(
            path(
                    "MX here, E to J and D",
                    MX_HERE,
                    'e',
                    new Expected('j', J, List.of(NET, GATEWAY), Status.BARE),
                    new Expected('d', D_REMOTE, List.of(NET, GATEWAY, CLOUD), Status.VOUCHED)),
            path("J to D", MX_HERE, 'j', new Expected('d', D_REMOTE, List.of(GATEWAY, CLOUD), Status.INTERNAL)),
            path("J to E", MX_HERE, 'j', new Expected('e', E, List.of(GATEWAY, NET), Status.BARE)),
            path("D to J", MX_HERE, 'd', new Expected('j', J, List.of(CLOUD, GATEWAY), Status.INTERNAL)),
            path(
                    "D to E, centralized off: never seen here",
                    MX_HERE,
                    'd',
                    new Expected('e', E, List.of(CLOUD, NET), Status.BARE)),
            path("J to the partner", MX_HERE, 'j', new Expected('p', P, List.of(GATEWAY, FABRIKAM), Status.BARE)),
            path("the partner to J", MX_HERE, 'p', new Expected('j', J, List.of(FABRIKAM, GATEWAY), Status.BARE)),
            new MailPath(
                    "J to E by way of the scrubber",
                    MX_HERE,
                    'j',
                    true,
                    List.of(new Expected('e', E, List.of(GATEWAY, SCRUBBER, GATEWAY, NET), Status.BARE))),
            path("MX cloud, E to J", MX_CLOUD, 'e', new Expected('j', J, List.of(NET, CLOUD, GATEWAY), Status.VOUCHED)),
            path(
                    "MX cloud and centralized, E to J and D",
                    MX_CLOUD_CENTRALIZED,
                    'e',
                    new Expected('j', J, List.of(NET, CLOUD, GATEWAY), Status.VOUCHED),
                    new Expected('d', D_REMOTE, List.of(NET, CLOUD, GATEWAY, CLOUD), Status.VOUCHED)),
            path(
                    "D to E, centralized on",
                    MX_CLOUD_CENTRALIZED,
                    'd',
                    new Expected('e', E, List.of(CLOUD, GATEWAY, NET), Status.BARE)),
            path(
                    "MX here, cloud as outbound relay, J to E",
                    CLOUD_RELAYS,
                    'j',
                    new Expected('e', E, List.of(GATEWAY, CLOUD, NET), Status.BARE)));

    private static MailPath path(String title, Topology topology, char sender, Expected... expected) {
        return new MailPath(title, topology, sender, false, List.of(expected));
    }

    /** The address that somebody is written to. */
    static String addressOf(char who) {
        return switch (who) {
            case 'j' -> J;
            case 'd' -> D;
            case 'p' -> P;
            default -> E;
        };
    }
}
