/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.file.PolicyReading;

/** Policies for tests, written as administrators write them. */
public final class PolicyXml {
    public static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");

    private PolicyXml() {}

    /** The policy of the given content of {@code <mailflow>}; it must be free of errors. */
    public static MailFlowPolicy policy(String content) {
        PolicyReading reading = read(content);
        return reading.policy()
                .orElseThrow(() -> new AssertionError("expected a good policy, found " + reading.problems()));
    }

    /** The reading of the given content of {@code <mailflow>}; the content begins on line 2. */
    public static PolicyReading read(String content) {
        try {
            Path conf = Files.createTempDirectory("policy");
            conf.toFile().deleteOnExit();
            Path file = Files.writeString(conf.resolve("mailflow.xml"), "<mailflow>\n" + content + "\n</mailflow>\n");
            file.toFile().deleteOnExit();
            return MailFlowXmlReader.read(file, conf, Map.of(), Clock.fixed(NOW, ZoneOffset.UTC));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
