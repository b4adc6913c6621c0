/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.delivery.tls.CertificateRefusedException;
import dev.mailflow.policy.testing.TestCertificates;

/** Every usage, selector and matching type against chains that fit and chains that do not. */
class TlsaRecordsTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test CA");
    private static final TestCertificates.Issued LEAF = CA.leaf("mx.d.test").issue();
    private static final TestCertificates.Issued OTHER =
            TestCertificates.authority("Other CA").leaf("mx.d.test").issue();
    private static final List<String> NAMES = List.of("mx.d.test", "d.test");

    private static List<X509Certificate> chain(TestCertificates.Issued leaf, TestCertificates.Authority authority) {
        return List.of(leaf.chain().get(0), authority.certificate());
    }

    private static byte[] selected(int selector, X509Certificate certificate) throws GeneralSecurityException {
        return selector == TlsaRecord.CERTIFICATE
                ? certificate.getEncoded()
                : certificate.getPublicKey().getEncoded();
    }

    private static TlsaRecord record(int usage, int selector, int matching, X509Certificate certificate) {
        try {
            byte[] data = selected(selector, certificate);
            byte[] shown =
                    switch (matching) {
                        case TlsaRecord.EXACT -> data;
                        case TlsaRecord.SHA_512 -> MessageDigest.getInstance("SHA-512")
                                .digest(data);
                        default -> MessageDigest.getInstance("SHA-256").digest(data);
                    };
            return new TlsaRecord(usage, selector, matching, HexFormat.of().formatHex(shown));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void check(Set<TlsaRecord> records, List<X509Certificate> chain) throws CertificateRefusedException {
        TlsaRecords.check(records, chain, NAMES, Instant.now());
    }

    static Stream<Arguments> usable() {
        return IntStream.of(TlsaRecord.DANE_TA, TlsaRecord.DANE_EE)
                .boxed()
                .flatMap(usage -> IntStream.rangeClosed(0, 1).boxed().flatMap(selector -> IntStream.rangeClosed(0, 2)
                        .mapToObj(matching -> Arguments.of(usage, selector, matching))));
    }

    @ParameterizedTest(name = "{0} {1} {2}")
    @MethodSource("usable")
    void recordShouldVouchForWhatItDescribesAndNothingElse(int usage, int selector, int matching) {
        X509Certificate about = usage == TlsaRecord.DANE_EE ? LEAF.chain().get(0) : CA.certificate();
        TlsaRecord record = record(usage, selector, matching, about);

        assertThat(record.isUsable()).isTrue();
        assertThat(TlsaRecords.decisive(List.of(record))).containsExactly(record);
        assertThatCode(() -> check(Set.of(record), chain(LEAF, CA))).doesNotThrowAnyException();
        assertThat(TlsaRecords.vouching(Set.of(record), chain(LEAF, CA))).containsExactly(record);
        assertThatThrownBy(() -> check(Set.of(record), OTHER.chain()))
                .isInstanceOf(CertificateRefusedException.class)
                .hasMessageContaining("none of the TLSA records vouches for certificate");
    }

    @ParameterizedTest(name = "{0} {1} {2}")
    @MethodSource("usable")
    void recordShouldNotVouchForWhatOnlyTheOtherUsageWould(int usage, int selector, int matching) {
        // the leaf described as an authority, the authority as a leaf
        X509Certificate about =
                usage == TlsaRecord.DANE_EE ? CA.certificate() : LEAF.chain().get(0);

        assertThatThrownBy(() -> check(Set.of(record(usage, selector, matching, about)), chain(LEAF, CA)))
                .isInstanceOf(CertificateRefusedException.class);
    }

    static Stream<Arguments> unusable() {
        List<Arguments> all = new ArrayList<>();
        for (int selector = 0; selector <= 1; selector++) {
            for (int matching = 0; matching <= 2; matching++) {
                // RFC 7672 section 3.1.3: PKIX usages mean nothing for mail
                all.add(Arguments.of(record(0, selector, matching, CA.certificate())));
                all.add(Arguments.of(record(1, selector, matching, LEAF.chain().get(0))));
                all.add(Arguments.of(record(4, selector, matching, LEAF.chain().get(0))));
                all.add(Arguments.of(
                        record(255, selector, matching, LEAF.chain().get(0))));
            }
        }
        for (int usage = TlsaRecord.DANE_TA; usage <= TlsaRecord.DANE_EE; usage++) {
            all.add(Arguments.of(new TlsaRecord(usage, 2, 1, "ab".repeat(32))));
            all.add(Arguments.of(new TlsaRecord(usage, 1, 3, "ab".repeat(32))));
            all.add(Arguments.of(new TlsaRecord(usage, 1, 1, "ab".repeat(31))));
            all.add(Arguments.of(new TlsaRecord(usage, 1, 1, "ab".repeat(64))));
            all.add(Arguments.of(new TlsaRecord(usage, 1, 2, "ab".repeat(32))));
            all.add(Arguments.of(new TlsaRecord(usage, 0, 1, "")));
            all.add(Arguments.of(new TlsaRecord(usage, 0, 0, "3003020100")));
            all.add(Arguments.of(new TlsaRecord(usage, 1, 0, "3003020100")));
            all.add(Arguments.of(new TlsaRecord(usage, 0, 0, "")));
        }
        return all.stream();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("unusable")
    void recordThatMeansNothingShouldNotBeUsed(TlsaRecord record) {
        assertThat(record.isUsable()).isFalse();
        assertThat(TlsaRecords.decisive(List.of(record))).isEmpty();
    }

    /** Letters: w the certificate's own digest, x somebody else's; figures: the matching type. */
    @ParameterizedTest
    @CsvSource({
        "w1, true",
        "x1 w1, true",
        "x1, false",
        // the stronger digest decides
        "w1 x2, false",
        "x1 w2, true",
        // the whole certificate always counts
        "w0 x2, true",
        "x0 w1, true",
        "x0 x1 x2, false"
    })
    void strongestDigestShouldDecide(String records, boolean vouched) {
        Set<TlsaRecord> decisive = TlsaRecords.decisive(Stream.of(records.split(" "))
                .map(each -> record(
                        TlsaRecord.DANE_EE,
                        TlsaRecord.PUBLIC_KEY,
                        each.charAt(1) - '0',
                        (each.charAt(0) == 'w' ? LEAF : OTHER).chain().get(0)))
                .collect(Collectors.toList()));

        if (vouched) {
            assertThatCode(() -> check(decisive, chain(LEAF, CA))).doesNotThrowAnyException();
        } else {
            assertThatThrownBy(() -> check(decisive, chain(LEAF, CA))).isInstanceOf(CertificateRefusedException.class);
        }
    }

    @Test
    void digestsOfAnotherUsageOrSelectorShouldNotWeakenEachOther() {
        Set<TlsaRecord> decisive = TlsaRecords.decisive(List.of(
                record(
                        TlsaRecord.DANE_EE,
                        TlsaRecord.CERTIFICATE,
                        1,
                        LEAF.chain().get(0)),
                record(
                        TlsaRecord.DANE_EE,
                        TlsaRecord.PUBLIC_KEY,
                        2,
                        OTHER.chain().get(0)),
                record(
                        TlsaRecord.DANE_TA,
                        TlsaRecord.CERTIFICATE,
                        2,
                        OTHER.chain().get(0))));

        assertThat(decisive).hasSize(3);
        assertThatCode(() -> check(decisive, chain(LEAF, CA))).doesNotThrowAnyException();
    }

    @Test
    void endEntityShouldNeedNeitherNameNorDateWhereAnAuthorityNeedsBoth() {
        TestCertificates.Issued late = CA.leaf("elsewhere.example").expired().issue();
        TestCertificates.Issued misnamed = CA.leaf("elsewhere.example").issue();
        TlsaRecord authority = record(TlsaRecord.DANE_TA, TlsaRecord.PUBLIC_KEY, 1, CA.certificate());

        assertThatCode(() -> check(
                        Set.of(record(
                                TlsaRecord.DANE_EE,
                                TlsaRecord.PUBLIC_KEY,
                                1,
                                late.chain().get(0))),
                        chain(late, CA)))
                .doesNotThrowAnyException();
        assertThatThrownBy(() -> check(Set.of(authority), chain(misnamed, CA))).hasMessageContaining("do not match");
        assertThatThrownBy(() -> check(
                        Set.of(authority), chain(CA.leaf("mx.d.test").expired().issue(), CA)))
                .hasMessageContaining("is valid from");
    }

    @Test
    void authorityThatDidNotSignTheLeafShouldNotVouchForIt() {
        // anybody can send the certificate of an authority beside his own
        List<X509Certificate> forged = List.of(OTHER.chain().get(0), CA.certificate());

        assertThatThrownBy(() ->
                        check(Set.of(record(TlsaRecord.DANE_TA, TlsaRecord.CERTIFICATE, 1, CA.certificate())), forged))
                .isInstanceOf(CertificateRefusedException.class);
    }
}
