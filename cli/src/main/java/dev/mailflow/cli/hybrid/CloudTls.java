/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;

import dev.mailflow.cli.xml.PlacedElement;
import dev.mailflow.cli.xml.Wanted;
import dev.mailflow.policy.connector.TlsLevel;

/**
 * The {@code <tls>} that the wizard writes for the cloud connector. One that says anything else was made by hand: the
 * wizard raises it where secure mail asks for more, and never lowers it, nor takes anything out of it. Our client
 * certificate in it is a matter of its own.
 *
 * @param secure whether secure mail is on
 * @param name what the cloud's certificates bear; empty: not known by a name
 * @param trustAnchors they come from; empty: the authorities of the JDK
 */
record CloudTls(boolean secure, Optional<String> name, Optional<String> trustAnchors) {
    private static final String LEVEL = "level";
    private static final String NAME = "name";
    private static final String TRUST_ANCHORS = "trustAnchors";

    CloudTls {
        name = name.filter(unused -> secure);
        trustAnchors = trustAnchors.filter(unused -> secure);
    }

    private TlsLevel level() {
        return secure ? TlsLevel.DOMAIN : TlsLevel.OPPORTUNISTIC;
    }

    /** Whether this is what the wizard writes, and nothing else. */
    boolean isWrittenIn(PlacedElement tls) {
        return tls.attribute(LEVEL).equals(Optional.of(level().toString()))
                && tls.attribute(NAME).equals(name)
                && tls.attribute(TRUST_ANCHORS).equals(trustAnchors)
                && Stream.of("mtaSts", "dane")
                        .allMatch(each -> tls.attribute(each).isEmpty())
                && tls.child("sha256").isEmpty();
    }

    /** Whether an element of somebody's own making asks for as much as this; a level that cannot be told is taken to. */
    boolean isMetBy(PlacedElement tls) {
        return Arrays.stream(TlsLevel.values())
                .filter(known -> tls.attribute(LEVEL).equals(Optional.of(known.toString())))
                .allMatch(known -> known.compareTo(level()) >= 0);
    }

    /** This and nothing else. */
    Wanted written() {
        return Wanted.element("tls")
                .attribute(LEVEL, level().toString())
                .attribute(NAME, name)
                .attribute(TRUST_ANCHORS, trustAnchors);
    }

    /** An element of somebody's own making, raised to this; whom it trusts it trusts still, and nobody else. */
    Wanted raised(PlacedElement tls) {
        Wanted wanted = Wanted.element("tls").attribute(LEVEL, level().toString());
        name.ifPresent(known -> wanted.attribute(NAME, known));
        tls.attribute(TRUST_ANCHORS)
                .or(() -> trustAnchors)
                .ifPresent(anchors -> wanted.attribute(TRUST_ANCHORS, anchors));
        return wanted;
    }

    /** As it stands in the file, but for our client certificate. */
    @Override
    public String toString() {
        return "<tls level=\"" + level() + "\""
                + name.map(known -> " name=\"" + known + "\"").orElse("")
                + trustAnchors
                        .map(anchors -> " trustAnchors=\"" + anchors + "\"")
                        .orElse("")
                + ">";
    }
}
