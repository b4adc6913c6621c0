/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

import com.google.common.primitives.Ints;

import dev.mailflow.cli.xml.PlacedElement;
import dev.mailflow.cli.xml.XmlFile;
import dev.mailflow.cli.xml.XmlSyntaxException;
import dev.mailflow.delivery.DeliveryConfig.Dnssec;

/**
 * What the first mailet {@code RouteToConnector} of a configuration directory says of delivery, which all of them share.
 *
 * @param conf the directory
 */
public record DeliverySettings(
        Path conf,
        Optional<String> trustedResolver,
        Optional<String> rootTrustAnchors,
        Optional<String> heloName,
        Optional<Integer> mxPort) {
    private static final String FILE = "mailetcontainer.xml";
    private static final String MAILET = "dev.mailflow.mailets.RouteToConnector";
    private static final String CONF = "file://conf/";

    /** Empty: the directory has no such mailet, or its file cannot be read, and nothing is known. */
    public static Optional<DeliverySettings> in(Path conf) {
        try {
            byte[] content = Files.readAllBytes(conf.resolve(FILE));
            return all(XmlFile.parse(content, FILE).root())
                    .filter(element -> element.name().equals("mailet")
                            && element.attribute("class").equals(Optional.of(MAILET)))
                    .findFirst()
                    .map(mailet -> new DeliverySettings(
                            conf,
                            text(mailet, "trustedResolver"),
                            text(mailet, "rootTrustAnchors"),
                            text(mailet, "heloName"),
                            text(mailet, "mxPort").map(Ints::tryParse).filter(port -> port > 0 && port <= 65_535)));
        } catch (IOException | XmlSyntaxException e) {
            return Optional.empty();
        }
    }

    private static Stream<PlacedElement> all(PlacedElement element) {
        return Stream.concat(Stream.of(element), element.children().stream().flatMap(DeliverySettings::all));
    }

    private static Optional<String> text(PlacedElement mailet, String parameter) {
        return mailet.child(parameter).map(PlacedElement::text).filter(text -> !text.isEmpty());
    }

    /** Whether DNS answers are known to be signed at all. */
    public boolean knowsDnssec() {
        return trustedResolver.isPresent() || rootTrustAnchors.isPresent();
    }

    /**
     * As delivery understands it.
     *
     * @throws IllegalArgumentException naming the parameter, what was found and what would be right
     */
    public Dnssec dnssec() {
        return Dnssec.of(
                trustedResolver,
                rootTrustAnchors,
                url -> Files.readString(
                        url.startsWith(CONF)
                                ? conf.resolve(url.substring(CONF.length()))
                                : Path.of(url.replaceFirst("^file://", ""))));
    }
}
