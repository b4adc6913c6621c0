/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

import org.apache.james.core.MailAddress;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.MessageContent;
import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.transport.PooledSmtpTransport;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.envelope.RequestedTls;

/** The outbound engine under test, with short timeouts, and what one sends with it. */
public final class Outbound implements AutoCloseable {

    public static final MailAddress SENDER = Connectors.address("joe@contoso.com");
    public static final MailAddress RECIPIENT = Connectors.address("ann@fabrikam.com");
    public static final String TEXT =
            "From: joe@contoso.com\r\nTo: ann@fabrikam.com\r\nSubject: hello\r\n\r\nGood morning.\r\n";

    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final PooledSmtpTransport transport;

    private Outbound(DeliveryConfig config) {
        transport = new PooledSmtpTransport(config);
    }

    /** No step takes longer than five seconds. */
    public static Outbound start() {
        return start(config().build());
    }

    public static Outbound start(DeliveryConfig config) {
        return new Outbound(config);
    }

    public static DeliveryConfig.Builder config() {
        return DeliveryConfig.builder("gateway.contoso.com")
                .timeouts(SmtpTimeouts.DEFAULT.atMost(Duration.ofSeconds(5)));
    }

    public static OutboundMessage message(MailAddress... recipients) {
        return message(TEXT.getBytes(StandardCharsets.UTF_8), recipients);
    }

    public static OutboundMessage message(byte[] content, MailAddress... recipients) {
        List<MailAddress> all = recipients.length == 0 ? List.of(RECIPIENT) : Arrays.asList(recipients);
        return OutboundMessage.of("m1", Optional.of(SENDER), all, MessageContent.of(content));
    }

    /** A message that came with REQUIRETLS (RFC 8689). */
    public static OutboundMessage requiringTls(MailAddress recipient) {
        return new OutboundMessage(
                "m1",
                Optional.of(SENDER),
                List.of(OutboundRecipient.of(recipient)),
                message().content(),
                Optional.empty(),
                Optional.empty(),
                RequestedTls.REQUIRED);
    }

    public PooledSmtpTransport transport() {
        return transport;
    }

    /** Sends and waits for the report. */
    public DeliveryReport send(OutboundConnector connector, OutboundMessage message) {
        return transport
                .send(connector, connector.tls(), message)
                .toCompletableFuture()
                .orTimeout(LIMIT.toSeconds(), TimeUnit.SECONDS)
                .join();
    }

    /** Sends the usual message to the usual recipient. */
    public RecipientOutcome send(OutboundConnector connector) {
        return send(connector, message()).outcomes().get(RECIPIENT);
    }

    @Override
    public void close() {
        transport.close();
    }
}
