/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.junit.jupiter.api.Test;

class EventLogTest {
    @Test
    void lineShouldNameMessageConnectorNextHopTlsAndReply() {
        MailFlowEvent event = new MailFlowEvent.Delivered(
                new MailFlowEvent.MessageRef("Mail1", Optional.of("<1@contoso.com>")),
                "fabrikam-out",
                List.of("joe@fabrikam.com"),
                new MailFlowEvent.Hop("mx.fabrikam.com[192.0.2.1]:25", Optional.of("TLSv1.3")),
                "250 2.0.0 Ok: queued as 1",
                1,
                Duration.ofMillis(20));

        assertThat(EventLog.line(event.fields()))
                .isEqualTo("event=delivered mail=Mail1 message-id=<1@contoso.com> connector=fabrikam-out"
                        + " next-hop=mx.fabrikam.com[192.0.2.1]:25 tls=TLSv1.3 recipients=1 to=joe@fabrikam.com"
                        + " attempt=1 age=PT0.02S reply=\"250 2.0.0 Ok: queued as 1\"");
    }

    @Test
    void lineShouldNotLetAStrangerForgeALineOrAField() {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("reply", "550 no\r\nevent=delivered \"x\" \u2028 \u0000");
        fields.put("to", "a=b");

        assertThat(EventLog.line(fields))
                .isEqualTo("reply=\"550 no\\r\\nevent=delivered \\\"x\\\" \\u2028 \\u0000\" to=\"a=b\"");
    }

    @Test
    void lineShouldBoundWhatItRepeats() {
        assertThat(EventLog.line(Map.of("reply", "x".repeat(100_000)))).hasSizeLessThan(2_100);
    }
}
