/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Arrays;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.certificate.ClientKey;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.testing.TestCertificates;

class CertificateFilesTest {
    private static final TestCertificates.Authority OTHER = TestCertificates.authority("Other CA");

    @TempDir
    private Path temporary;

    private PolicyDirectory directory;

    @BeforeEach
    void furnish() {
        directory = new PolicyDirectory(temporary).furnished();
    }

    private PolicyReading read(String tls) {
        return directory.read(
                "<mailflow><outboundConnectors>\n<outboundConnector name='x' type='partner' rulesOnly='true'>"
                        + "<useMx>true</useMx>\n" + tls + "\n</outboundConnector></outboundConnectors></mailflow>");
    }

    private OutboundConnector connector(PolicyReading reading) {
        assertThat(reading.problems()).isEmpty();
        return reading.policy().orElseThrow().outboundConnectors().find("x").orElseThrow();
    }

    private PolicyReading readAnchors(String file) {
        return read("<tls level='ca' trustAnchors='file://conf/" + file + "'/>");
    }

    private PolicyReading readKey(String attributes) {
        return read("<tls level='ca'><clientCertificate " + attributes + "/></tls>");
    }

    private static void assertOnly(PolicyReading reading, String fragment) {
        assertThat(reading.policy()).isEmpty();
        assertThat(reading.problems()).singleElement().satisfies(problem -> {
            assertThat(problem.location().line()).isEqualTo(3);
            assertThat(problem.message()).contains(fragment).doesNotContain(TestCertificates.PASSWORD);
        });
    }

    @Test
    void bundleShouldBeReadWithTextBetweenItsCertificates() throws IOException {
        X509Certificate first = PolicyDirectory.authority().certificate();
        X509Certificate second = OTHER.certificate();
        Path one = TestCertificates.writePem(temporary.resolve("1.pem"), first);
        Path two = TestCertificates.writePem(temporary.resolve("2.pem"), second);
        directory.write(
                "bundle.pem",
                "# Our authorities\n" + Files.readString(one) + "\nsubject=/CN=Other\n"
                        + Files.readString(two).replace("\n", "\r\n"));

        assertThat(connector(readAnchors("bundle.pem")).tls().trustAnchors().certificates())
                .containsExactly(first, second);
    }

    @ParameterizedTest
    @CsvSource({
        "none.pem, there is no such file",
        "empty.pem, the file is empty",
        "text.pem, the file is not PEM",
        "gateway.p12, 'the file is binary (DER or PKCS #12), not PEM'",
        "key.pem, there is no whole certificate in the file",
        "cut.pem, there is no whole certificate in the file",
        "damaged.pem, the certificate on line 2 of the file is damaged",
        "sub, it is not a regular file"
    })
    void anchorsThatCannotServeShouldBeAnError(String file, String fragment) throws IOException {
        directory.write("empty.pem", " \n");
        directory.write("text.pem", "trust everybody");
        PolicyDirectory.gateway().writeKeyPem(temporary.resolve("key.pem"));
        String good = Files.readString(temporary.resolve("ca.pem"));
        directory.write("cut.pem", good.substring(0, good.length() / 2));
        directory.write("damaged.pem", "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        Files.createDirectory(temporary.resolve("sub"));

        assertOnly(readAnchors(file), fragment);
    }

    @ParameterizedTest
    @ValueSource(strings = {"PKCS12", "JKS"})
    void keyShouldBeReadFromEitherKindOfKeyStore(String kind) throws Exception {
        writeKeyStore(kind, "store", "only");

        ClientKey key = connector(readKey("keystore='file://conf/store' secret='${env:GATEWAY_P12_SECRET}'"))
                .tls()
                .clientCertificate()
                .orElseThrow();

        assertThat(key.key()).isEqualTo(PolicyDirectory.gateway().key());
        assertThat(key.chain()).containsExactly(PolicyDirectory.gateway().certificate());
        assertThat(key.source()).isEqualTo("file://conf/store alias only");
    }

    private void writeKeyStore(String kind, String file, String... aliases) throws Exception {
        KeyStore store = KeyStore.getInstance(kind);
        store.load(null, null);
        for (String alias : aliases) {
            store.setKeyEntry(
                    alias,
                    PolicyDirectory.gateway().key(),
                    TestCertificates.PASSWORD.toCharArray(),
                    PolicyDirectory.gateway().chain().toArray(X509Certificate[]::new));
        }
        try (OutputStream out = Files.newOutputStream(temporary.resolve(file))) {
            store.store(out, TestCertificates.PASSWORD.toCharArray());
        }
    }

    @Test
    void aliasShouldBeNeededWhenThereAreSeveralKeys() throws Exception {
        writeKeyStore("PKCS12", "two", "b", "a");

        assertOnly(
                readKey("keystore='file://conf/two' secret='${env:GATEWAY_P12_SECRET}'"),
                "there are several keys in it; expected alias= to be one of a, b");
        assertThat(readKey("keystore='file://conf/two' alias='b' secret='${env:GATEWAY_P12_SECRET}'")
                        .problems())
                .isEmpty();
    }

    @Test
    void aliasThatIsNotThereShouldBeAnError() {
        assertOnly(
                readKey("keystore='file://conf/gateway.p12' alias='gatway' secret='${env:GATEWAY_P12_SECRET}'"),
                "there is no key 'gatway' in it; expected alias= to be one of gateway");
    }

    @Test
    void wrongPasswordShouldBeTold() throws Exception {
        writeKeyStore("JKS", "store.jks", "only");

        assertOnly(
                readKey("keystore='file://conf/gateway.p12' secret='${env:DLP_SALES}'"), "the secret does not open it");
        assertOnly(
                readKey("keystore='file://conf/store.jks' secret='${env:DLP_SALES}'"), "the secret does not open it");
    }

    @Test
    void fileThatIsNoKeyStoreShouldBeAnError() throws IOException {
        byte[] good = Files.readAllBytes(temporary.resolve("gateway.p12"));
        directory.write("damaged.p12", Arrays.copyOf(good, good.length / 2));
        TestCertificates.writeTrustStore(temporary.resolve("trust.p12"), OTHER.certificate());
        String secret = " secret='${env:GATEWAY_P12_SECRET}'";

        assertOnly(readKey("keystore='file://conf/none.p12'" + secret), "there is no such file");
        assertOnly(readKey("keystore='file://conf/ca.pem'" + secret), "the file is no key store");
        assertOnly(readKey("keystore='file://conf/damaged.p12'" + secret), "the key store is damaged");
        assertOnly(readKey("keystore='file://conf/trust.p12'" + secret), "there is no key in it");
    }

    @Test
    void inlinePasswordShouldWorkWithAWarning() {
        PolicyReading reading = readKey("keystore='file://conf/gateway.p12' secret='changeit'");

        assertThat(reading.policy()).isPresent();
        assertThat(reading.problems())
                .singleElement()
                .extracting(PolicyProblem::severity)
                .isEqualTo(PolicyProblem.Severity.WARNING);
    }
}
