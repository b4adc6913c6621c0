/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;

import dev.mailflow.policy.testing.TestCertificates;

/** A configuration directory with the files that the tests' documents name. */
final class PolicyDirectory {
    static final Instant NOW = Instant.parse("2026-06-01T12:00:00Z");
    static final Clock CLOCK = Clock.fixed(NOW, ZoneOffset.UTC);
    static final String SECRET_VALUE = "s3cr3t-of-the-environment";
    static final Map<String, String> ENVIRONMENT = Map.of(
            "GATEWAY_P12_SECRET",
            TestCertificates.PASSWORD,
            "DLP_SALES",
            SECRET_VALUE,
            "DOMAIN",
            "contoso.com",
            "EMPTY",
            "");

    // Keys take long to make; nobody changes these.
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Policy Test CA");
    private static final TestCertificates.Issued GATEWAY =
            AUTHORITY.leaf("gateway.contoso.com").issue();

    private final Path path;

    PolicyDirectory(Path path) {
        this.path = path;
    }

    /** With everything that the example of the contract names. */
    PolicyDirectory furnished() {
        write("allow.txt", "192.0.2.77 # one\n\n# none\n2001:db8:77::/48\n");
        write("block.txt", "203.0.113.200-203.0.113.201\n");
        write("dlp.secret", "of-the-file\n");
        write(
                "rewrite.csv",
                "internal,external,outboundOnly,exceptions\nsue@contoso.com,help@northwind.com\n"
                        + "*.eu.contoso.com,contoso.com,true,\"it.eu.contoso.com, hr.eu.contoso.com\"\n");
        TestCertificates.writePem(path.resolve("ca.pem"), AUTHORITY.certificate());
        GATEWAY.writePkcs12(path.resolve("gateway.p12"), "gateway");
        return this;
    }

    static TestCertificates.Authority authority() {
        return AUTHORITY;
    }

    static TestCertificates.Issued gateway() {
        return GATEWAY;
    }

    Path path() {
        return path;
    }

    Path mailflowXml() {
        return path.resolve("mailflow.xml");
    }

    Path write(String name, String content) {
        return write(name, content.getBytes(StandardCharsets.UTF_8));
    }

    Path write(String name, byte[] content) {
        try {
            return Files.write(path.resolve(name), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    PolicyReading read(String document) {
        return read(document.getBytes(StandardCharsets.UTF_8));
    }

    PolicyReading read(byte[] document) {
        write("mailflow.xml", document);
        return MailFlowXmlReader.read(mailflowXml(), path, ENVIRONMENT, CLOCK);
    }

    /** The example of the contract, with a real fingerprint. */
    static String contractExample() {
        return resource("contract-example.xml");
    }

    /** The example without what this version refuses. */
    static String supportedExample() {
        return contractExample().replaceAll("(?s)<transportRules>.*</transportRules>", "");
    }

    private static String resource(String name) {
        try (InputStream in = PolicyDirectory.class.getResourceAsStream(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
