/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.Test;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.tls.TlsFault;

class DailySheetTest {
    private static final TlsSession.Policy STS =
            new TlsSession.Policy("sts", List.of("version: STSv1", "mode: enforce"), List.of("mx.d.test"));

    private final ObjectMapper json = new ObjectMapper();

    private static TlsSession session(TlsSession.Policy policy, Optional<TlsFault> fault) {
        return new TlsSession(
                "d.test",
                policy,
                Optional.of("mx.d.test"),
                Optional.of("192.0.2.1"),
                Optional.of("192.0.2.2"),
                fault,
                fault.map(TlsFault::toString));
    }

    @Test
    void copyShouldSayTheSameAndStayAsItIs() {
        DailySheet sheet = new DailySheet();
        sheet.count(session(STS, Optional.empty()));
        sheet.count(session(STS, Optional.of(TlsFault.CERTIFICATE_EXPIRED)));
        sheet.count(session(TlsSession.Policy.NONE, Optional.of(TlsFault.STARTTLS_NOT_SUPPORTED)));
        sheet.reportedTo("mailto:a@d.test");
        sheet.nextTry(7);
        JsonNode before = json.valueToTree(sheet);

        DailySheet copy = sheet.copy();
        JsonNode copied = json.valueToTree(copy);
        sheet.count(session(STS, Optional.empty()));
        sheet.count(session(STS, Optional.of(TlsFault.CERTIFICATE_EXPIRED)));
        sheet.count(session(STS, Optional.of(TlsFault.TLSA_INVALID)));
        sheet.count(session(TlsSession.Policy.NONE, Optional.empty()));
        sheet.reportedTo("mailto:b@d.test");
        sheet.nextTry(8);

        assertThat(copied).isEqualTo(before);
        assertThat(json.<JsonNode>valueToTree(copy)).isEqualTo(before);
    }
}
