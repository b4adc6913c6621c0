/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.header;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.connector.InternalHeaders;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class InternalHeaderScreenTest {

    private static HeaderSection read(String message) {
        try {
            return HeaderSection.read(new ByteArrayInputStream(message.getBytes(StandardCharsets.ISO_8859_1)));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static String text(HeaderSection section) {
        return new String(section.bytes(), StandardCharsets.ISO_8859_1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "X-MS-Exchange-Organization-SCL: -1\r\n",
                "x-ms-exchange-organization-scl: -1\r\n",
                "X-Ms-eXCHANGE-oRGANIZATION-AuthAs: Internal\r\n",
                "X-MS-Exchange-Organization-SCL : -1\r\n",
                "X-MS-Exchange-Organization-SCL\t: -1\r\n",
                "X-MS-Exchange-\r\n Organization-SCL: -1\r\n",
                "X-MS-Exchange-Organization-SCL\r\n : -1\r\n",
                "X-MS-Exchange-Organi\u0000zation-SCL: -1\r\n",
                "\u0000X-MS-Exchange-Organization-SCL: -1\r\n",
                "X-MS-Exchange-Organization-SCL\u00a0: -1\r\n",
                "X-MS\u00ad-Exchange-Organization-SCL: -1\r\n",
                "X-MS-Exchange-CrossPremises-SCL: -1\r\n",
                "X-MS-Exchange-Forest-RulesExecuted: x\r\n",
                "X-Mailflow-Connection-Filter: CIP=1.2.3.4; IPV=CAL\r\n",
                "X-MS-Exchange-Organization-SCL: -1\r\n folded\r\n\tand folded again\r\n",
                "X-MS-Exchange-Organization-SCL -1 without a colon\r\n",
                "X-MS-Exchange-Organization-SCL: bare\r",
                "Foo\r\n X-MS-Exchange-Organization-SCL: -1\r\n"
            })
    void onArrivalShouldRemoveWhatAnyReaderCouldTakeForInternal(String forged) {
        String before = "Received: from a by b; date\r\nSubject: one\r\n";
        String after = "X-Custom: \u00e4\r\nTo: two\r\n\r\n";

        InternalHeaderScreen.Screened screened =
                InternalHeaderScreen.onArrival(read(before + forged + forged + after + "body"), false);

        assertThat(text(screened.section())).isEqualTo(before + after);
        assertThat(screened.isChanged()).isTrue();
    }

    @Test
    void onArrivalShouldRemoveAnOverlongName() {
        String forged = "X-MS-Exchange-Organization-" + "a".repeat(200_000) + ": 1\r\n";

        assertThat(text(InternalHeaderScreen.onArrival(read(forged + "To: a\r\n\r\n"), false)
                        .section()))
                .isEqualTo("To: a\r\n\r\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Subject: x\rX-MS-Exchange-Organization-SCL: -1\r\nTo: a\r\n\r\n",
                "Subject: x\r\r\nX-MS-Exchange-Organization-SCL: -1\r\nTo: a\r\n\r\n",
                "Subject: x\r\rX-MS-Exchange-Organization-SCL: -1\r\nTo: a\r\n\r\n",
                "Subject: x\nX-MS-Exchange-Organization-SCL: -1\nTo: a\r\n\r\n"
            })
    void onArrivalShouldFindAFieldBehindAnUnusualLineEnd(String header) {
        assertThat(text(InternalHeaderScreen.onArrival(read(header), false).section()))
                .doesNotContain("Organization")
                .startsWith("Subject: x")
                .contains("\nTo: a\r\n\r\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "X-Mailflower: 1\r\n",
                "X-MS-Exchange-Transport: 1\r\n",
                "X-MS-Has-Attach: yes\r\n",
                "Subject: X-MS-Exchange-Organization-SCL: -1\r\n",
                "Subject: x\r\n X-MS-Exchange-Organization-SCL: -1\r\n",
                "X_MS_Exchange_Organization_SCL: 1\r\n",
                "no colon here\r\n",
                ": no name\r\n",
                " \r\n"
            })
    void onArrivalShouldLeaveEverythingElseByteForByte(String harmless) {
        String header = "Received: x\r\n" + harmless + "\r\n";

        InternalHeaderScreen.Screened screened = InternalHeaderScreen.onArrival(read(header), false);

        assertThat(screened.isChanged()).isFalse();
        assertThat(text(screened.section())).isEqualTo(header);
    }

    @Test
    void onArrivalShouldPromoteFromATrustedPeerReplacingWhatIsThere() {
        InternalHeaderScreen.Screened screened = InternalHeaderScreen.onArrival(
                read("X-MS-Exchange-Organization-SCL: 9\r\nx-ms-exchange-crosspremises-scl: -1\r\n more\r\n"
                        + "X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-CrossPremises-\u0000SCL: 5\r\n"
                        + "To: a\r\n\r\n"),
                true);

        assertThat(text(screened.section()))
                .isEqualTo("X-MS-Exchange-Organization-scl: -1\r\n more\r\n"
                        + "X-MS-Exchange-Organization-AuthAs: Internal\r\nTo: a\r\n\r\n");
        assertThat(screened.renamed())
                .containsExactly("x-ms-exchange-crosspremises-scl->X-MS-Exchange-Organization-scl");
    }

    @Test
    void onDepartureShouldDemoteForAPeerThatPreservesAndStripForOthers() {
        HeaderSection header = read("X-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-CrossPremises-SCL: 3\r\n"
                + "X-MS-Exchange-Forest-A: 1\r\nX-Mailflow-Connection-Filter: CIP=192.0.2.1; IPV=NLI\r\n\r\n");

        assertThat(text(InternalHeaderScreen.onDeparture(header, InternalHeaders.PRESERVE)
                        .section()))
                .isEqualTo("X-MS-Exchange-CrossPremises-SCL: -1\r\nX-MS-Exchange-Forest-A: 1\r\n"
                        + "X-Mailflow-Connection-Filter: CIP=192.0.2.1; IPV=NLI\r\n\r\n");
        assertThat(text(InternalHeaderScreen.onDeparture(header, InternalHeaders.STRIP)
                        .section()))
                .isEqualTo("X-Mailflow-Connection-Filter: CIP=192.0.2.1; IPV=NLI\r\n\r\n");
    }

    @Property(tries = 2_000)
    void readingShouldKeepEveryByteAndStopAtTheBody(@ForAll("headers") String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        InputStream in = new ByteArrayInputStream(bytes);

        HeaderSection section = HeaderSection.read(in);

        assertThat(text(section) + new String(in.readAllBytes(), StandardCharsets.ISO_8859_1))
                .isEqualTo(text);
    }

    @Property(tries = 2_000)
    void onArrivalShouldLeaveNoFieldWhoseLettersSpellOneOfOurs(@ForAll("headers") String text) {
        HeaderSection once = InternalHeaderScreen.onArrival(read(text), false).section();

        assertThat(InternalHeaderScreen.onArrival(read(text(once)), false).isChanged())
                .isFalse();
    }

    @Provide
    Arbitrary<String> headers() {
        return Arbitraries.of(
                        "X-MS-Exchange-",
                        "Organization-",
                        "SCL",
                        ":",
                        " ",
                        "\r\n",
                        "\n",
                        "\r",
                        "\t",
                        "\u0000",
                        "a",
                        "X-Mailflow-",
                        "\u00e4",
                        "Subject: x\r\n",
                        "\r\n\r\n")
                .list()
                .ofMaxSize(25)
                .map(parts -> String.join("", parts));
    }
}
