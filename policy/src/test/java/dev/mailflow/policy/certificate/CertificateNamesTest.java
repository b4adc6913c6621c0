/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.cert.X509Certificate;

import org.junit.jupiter.api.Test;

import dev.mailflow.policy.testing.TestCertificates;

class CertificateNamesTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");

    private static X509Certificate issued(TestCertificates.Draft draft) {
        return draft.issue().certificate();
    }

    @Test
    void namesShouldBeTheDnsNamesOfTheSan() {
        X509Certificate certificate = issued(CA.leaf("MX.d.test", "*.d.test")
                .ipAddress("192.0.2.1")
                .uri("https://d.test/")
                .commonName("elsewhere.test"));

        assertThat(CertificateNames.of(certificate).names()).containsExactly("mx.d.test", "*.d.test");
        assertThat(CertificateNames.withoutCommonName(certificate).names()).containsExactly("mx.d.test", "*.d.test");
    }

    @Test
    void longSanShouldBeReadToItsEnd() {
        String[] names = new String[500];
        for (int i = 0; i < names.length; i++) {
            names[i] = "host-number-" + i + ".of-a-domain-with-a-name-that-is-rather-long.d.test";
        }

        assertThat(CertificateNames.of(issued(CA.leaf(names))).names()).containsExactly(names);
    }

    @Test
    void malformedNameShouldNotTakeTheOthersAwayNorBringTheCommonName() {
        X509Certificate certificate = issued(CA.leaf("mx.d.test")
                .uri("no URI at all")
                .dnsName("bad name.d.test")
                .dnsName("mail.d.test")
                .commonName("elsewhere.test"));

        assertThat(CertificateNames.of(certificate).names()).containsExactly("mx.d.test", "mail.d.test");
    }

    @Test
    void commonNameShouldCountOnlyWithoutSan() {
        X509Certificate without = issued(CA.leafWithoutSan("mx.d.test"));

        assertThat(CertificateNames.of(without).names()).containsExactly("mx.d.test");
        assertThat(CertificateNames.withoutCommonName(without).names()).isEmpty();
        assertThat(CertificateNames.of(issued(CA.leafWithoutSan("mx.d.test").ipAddress("192.0.2.1")))
                        .names())
                .isEmpty();
        assertThat(CertificateNames.of(issued(CA.leafWithoutSan("mx.d.test").uri("no URI at all")))
                        .names())
                .isEmpty();
    }
}
