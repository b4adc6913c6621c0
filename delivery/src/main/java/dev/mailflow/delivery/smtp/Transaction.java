/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Pattern;

import org.apache.james.core.MailAddress;
import org.xbill.DNS.Address;

import dev.mailflow.delivery.OutboundMessage;
import dev.mailflow.delivery.OutboundRecipient;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.envelope.RequestedTls;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;

/**
 * One message on one connection: MAIL, RCPT for each recipient, DATA, the content. With PIPELINING (RFC 2920) the
 * commands leave in one flight, without it each waits for the reply to the one before. The content is read on a worker
 * thread a window at a time, and only while the socket takes it.
 *
 * <p>Runs on the connection's event loop.
 */
// what goes wrong with a write reaches the channel's handler, which ends the connection and with it this
@SuppressWarnings("FutureReturnValueIgnored")
final class Transaction {
    private static final String DOMAIN = "[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?";
    private static final Pattern NAMES_TLS = Pattern.compile("(?i)\\b(START)?TLS\\b");
    private static final String XTEXT = "[\\x21-\\x7E]{1,500}";

    private final SmtpConnection connection;
    private final OutboundMessage message;
    private PreparedContent content;
    private final boolean reset;
    private final CompletableFuture<TransactionResult> result;
    private final Map<MailAddress, RecipientOutcome> settled = new HashMap<>();
    private final List<OutboundRecipient> recipients;
    private final List<OutboundRecipient> accepted = new ArrayList<>();

    private List<Step> steps = List.of();
    private int sent;
    private boolean replied;
    private Optional<SmtpReply> mailRefusal = Optional.empty();
    private boolean takenDespiteRefusal;

    private boolean bodyStarted;
    private boolean dotSent;
    private boolean reading;
    private boolean endRead;
    private Optional<InputStream> stream = Optional.empty();
    private final WireEncoder encoder = new WireEncoder();

    Transaction(
            SmtpConnection connection,
            OutboundMessage message,
            List<OutboundRecipient> recipients,
            PreparedContent content,
            boolean reset,
            CompletableFuture<TransactionResult> result) {
        this.connection = connection;
        this.message = message;
        this.recipients = new ArrayList<>(recipients);
        this.content = content;
        this.reset = reset;
        this.result = result;
    }

    private record Step(String line, Duration timeout, Consumer<SmtpReply> onReply) {}

    void start() {
        EhloCapabilities offered = connection.capabilities();
        if (message.requiresTlsOfNextHop() && !offered.requireTls()) {
            finish(
                    Optional.of(connection.failure(
                            HopFailure.Kind.REQUIRETLS, "4.7.30", connection.address() + " does not offer REQUIRETLS")),
                    reset);
            return;
        }
        refuseIfTooLarge(offered);
        refuseAddresses(offered);
        if (recipients.isEmpty()) {
            finish(reset);
        } else if (offered.eightBitMime()) {
            // not known without reading all of a large message: the declaration is then only an upper bound
            begin(offered, content.eightBit().orElse(true));
        } else if (content.eightBit().isPresent()) {
            beginSevenBit(offered, content.eightBit().get());
        } else {
            onWorker(() -> {
                boolean eightBit = content.scanEightBit();
                return () -> beginSevenBit(offered, eightBit);
            });
        }
    }

    private void refuseIfTooLarge(EhloCapabilities offered) {
        OptionalLong limit = offered.sizeLimit();
        if (limit.isPresent() && content.size() > limit.getAsLong()) {
            refuseAll(
                    "5.3.4",
                    "message of " + content.size() + " bytes is larger than the " + limit.getAsLong() + " bytes that "
                            + connection.address() + " accepts");
        }
    }

    private void beginSevenBit(EhloCapabilities offered, boolean eightBit) {
        if (!eightBit) {
            begin(offered, false);
            return;
        }
        onWorker(() -> {
            try {
                PreparedContent converted = content.sevenBit();
                return () -> beginConverted(offered, converted);
            } catch (MimeWalk.NotUnderstoodException e) {
                return () -> refuseUnconverted(e.getMessage());
            }
        });
    }

    private void beginConverted(EhloCapabilities offered, PreparedContent converted) {
        if (result.isDone()) {
            return;
        }
        content = converted;
        refuseIfTooLarge(offered);
        if (recipients.isEmpty()) {
            finish(reset);
        } else {
            begin(offered, false);
        }
    }

    /** Converting would break signatures: RFC 6152 section 3 allows to refuse. */
    private void refuseUnconverted(String why) {
        if (!result.isDone()) {
            refuseAll(
                    "5.6.3",
                    "message has 8-bit content and " + connection.address()
                            + " does not offer 8BITMIME; it is not converted because it has " + why);
            finish(reset);
        }
    }

    private void refuseAll(String status, String reason) {
        recipients.forEach(recipient -> settle(
                recipient,
                new RecipientOutcome.Failed(status, reason, Optional.empty(), Optional.of(connection.hop()))));
        recipients.clear();
    }

    private void refuseAddresses(EhloCapabilities offered) {
        boolean senderUtf8 = message.sender().filter(Transaction::needsUtf8).isPresent();
        boolean senderMalformed =
                message.sender().filter(Transaction::malformed).isPresent();
        recipients.removeIf(recipient -> {
            Optional<RecipientOutcome> refusal = Optional.empty();
            if (senderMalformed) {
                refusal = Optional.of(failed("5.1.7", "sender address holds a control character"));
            } else if (malformed(recipient.address())) {
                refusal = Optional.of(failed("5.1.3", "recipient address holds a control character"));
            } else if (!offered.smtpUtf8() && (senderUtf8 || needsUtf8(recipient.address()))) {
                refusal = Optional.of(failed(
                        "5.6.7",
                        "address with characters beyond ASCII, and " + connection.address()
                                + " does not offer SMTPUTF8"));
            }
            refusal.ifPresent(outcome -> settle(recipient, outcome));
            return refusal.isPresent();
        });
    }

    private RecipientOutcome failed(String status, String reason) {
        return new RecipientOutcome.Failed(status, reason, Optional.empty(), Optional.of(connection.hop()));
    }

    private void begin(EhloCapabilities offered, boolean eightBit) {
        List<Step> plan = new ArrayList<>(recipients.size() + 3);
        var timeouts = connection.timeouts();
        if (reset) {
            plan.add(new Step("RSET", timeouts.command(), this::onReset));
        }
        plan.add(new Step(mail(offered, eightBit), timeouts.mail(), this::onMail));
        for (OutboundRecipient recipient : recipients) {
            plan.add(new Step(rcpt(offered, recipient), timeouts.recipient(), reply -> onRecipient(recipient, reply)));
        }
        plan.add(new Step("DATA", timeouts.data(), this::onData));
        steps = plan;
        if (offered.pipelining()) {
            StringBuilder flight = new StringBuilder(64 * plan.size());
            for (Step step : plan) {
                expect(step);
                flight.append(step.line()).append("\r\n");
            }
            sent = plan.size();
            connection.write(flight.toString());
        } else {
            sendNext();
        }
    }

    private void sendNext() {
        Step step = steps.get(sent++);
        expect(step);
        connection.write(step.line() + "\r\n");
    }

    private void expect(Step step) {
        connection.expect(step.line(), Optional.of(step.timeout())).thenAccept(reply -> {
            if (!result.isDone()) {
                replied = true;
                step.onReply().accept(reply);
                if (!result.isDone() && !bodyStarted && sent < steps.size()) {
                    if (sent == steps.size() - 1 && accepted.isEmpty()) {
                        finish(true);
                    } else {
                        sendNext();
                    }
                }
            }
        });
    }

    private String mail(EhloCapabilities offered, boolean eightBit) {
        StringBuilder line = new StringBuilder("MAIL FROM:<")
                .append(message.sender().map(Transaction::onWire).orElse(""))
                .append('>');
        if (offered.size()) {
            line.append(" SIZE=").append(content.size());
        }
        if (offered.eightBitMime()) {
            line.append(eightBit ? " BODY=8BITMIME" : " BODY=7BIT");
        }
        if (offered.smtpUtf8()
                && (message.sender().filter(Transaction::needsUtf8).isPresent()
                        || recipients.stream().anyMatch(recipient -> needsUtf8(recipient.address())))) {
            line.append(" SMTPUTF8");
        }
        if (offered.requireTls() && message.requestedTls() == RequestedTls.REQUIRED) {
            line.append(" REQUIRETLS");
        }
        if (offered.xoorg() && connection.isSecured()) {
            message.organization().filter(domain -> domain.matches(DOMAIN)).ifPresent(domain -> line.append(" XOORG=")
                    .append(domain));
        }
        if (offered.dsn()) {
            message.ret().ifPresent(ret -> line.append(" RET=").append(ret));
            message.envelopeId().filter(id -> id.matches(XTEXT)).ifPresent(id -> line.append(" ENVID=")
                    .append(id));
        }
        return line.toString();
    }

    private static String rcpt(EhloCapabilities offered, OutboundRecipient recipient) {
        StringBuilder line = new StringBuilder("RCPT TO:<")
                .append(onWire(recipient.address()))
                .append('>');
        if (offered.dsn()) {
            recipient.notifyOn().filter(value -> value.matches(XTEXT)).ifPresent(value -> line.append(" NOTIFY=")
                    .append(value));
            recipient.originalRecipient().filter(value -> value.matches(XTEXT)).ifPresent(value -> line.append(
                            " ORCPT=")
                    .append(value));
        }
        return line.toString();
    }

    private void onReset(SmtpReply reply) {
        if (!reply.isPositive()) {
            refused("RSET", reply);
        }
    }

    private void onMail(SmtpReply reply) {
        if (reply.isPositive()) {
            return;
        }
        if (isFinal(reply)) {
            mailRefusal = Optional.of(reply);
            recipients.forEach(recipient -> settle(recipient, refusal(reply, "MAIL FROM")));
            if (sent < steps.size()) {
                finish(false);
            }
        } else if (sent < steps.size() || !(reply.isTransient() || reply.isPermanent())) {
            refused("MAIL FROM", reply);
        } else {
            // the replies to the rest of the flight are still to come and say nothing new
            mailRefusal = Optional.of(reply);
        }
    }

    private void refused(String command, SmtpReply reply) {
        if (reply.isTransient() || reply.isPermanent()) {
            HopFailure refusal = connection.failure(HopFailure.Kind.REFUSED, reply, said(command, reply));
            if (!command.equals("MAIL FROM")) {
                connection.abort(Optional.of(refusal));
            }
            finish(Optional.of(refusal), true);
        } else {
            unexpected(command, reply);
        }
    }

    private void onRecipient(OutboundRecipient recipient, SmtpReply reply) {
        if (mailRefusal.isPresent()) {
            takenDespiteRefusal |= reply.isPositive();
            return;
        }
        if (reply.isPositive()) {
            accepted.add(recipient);
        } else if (isEndOfReused(reply)) {
            refused("RCPT TO", reply);
        } else if (isForTooManyRecipients(reply)) {
            settle(recipient, transientOutcome(reply, said("RCPT TO", reply)));
        } else if (reply.isTransient() || reply.isPermanent()) {
            settle(recipient, refusal(reply, "RCPT TO"));
        } else {
            unexpected("RCPT TO", reply);
        }
    }

    /**
     * 421 ends the session, whatever it answers (RFC 5321 section 3.8): on a connection that has been idle it says nothing
     * of the message, which goes over a fresh one. There it is taken for the recipient's, for some mean it so, and one
     * recipient must not keep back the others.
     */
    private boolean isEndOfReused(SmtpReply reply) {
        return reply.code() == 421 && connection.messages() > 1;
    }

    /**
     * RFC 5321 section 4.5.3.1.10: 552 is what RFC 821 had for more recipients than a next hop takes at once, and not the
     * last word. It is, where the next hop has taken nobody before, or says that it means something else.
     */
    private boolean isForTooManyRecipients(SmtpReply reply) {
        return reply.code() == 552
                && !accepted.isEmpty()
                && reply.enhancedStatus().map("5.5.3"::equals).orElse(true);
    }

    private void onData(SmtpReply reply) {
        if (reply.code() == 354) {
            goAhead();
        } else if (mailRefusal.isPresent()) {
            endAfterMailRefusal();
        } else if (isEndOfReused(reply)) {
            refused("DATA", reply);
        } else if (reply.isTransient() || reply.isPermanent()) {
            settleAccepted(reply, "DATA");
            finish(true);
        } else {
            unexpected("DATA", reply);
        }
    }

    private void endAfterMailRefusal() {
        SmtpReply refusal = mailRefusal.orElseThrow();
        if (isFinal(refusal)) {
            finish(true);
        } else {
            refused("MAIL FROM", refusal);
        }
    }

    /**
     * The content waits for what the peer has sent already: its consent to content that it cannot have would be taken for
     * the real one otherwise.
     */
    private void goAhead() {
        bodyStarted = true;
        // Early replies are possible: they are matched with this one, whose timer starts when the dot has left.
        connection.expect("the message content", Optional.empty()).thenAccept(this::onFinalReply);
        connection.channel().eventLoop().execute(() -> {
            if (!result.isDone()) {
                startBody();
            }
        });
    }

    private void startBody() {
        if (takenDespiteRefusal) {
            // a next hop that has recipients in spite of its refusal would send them an empty message
            connection.abort(Optional.of(connection.failure(
                    HopFailure.Kind.PROTOCOL,
                    "4.5.0",
                    connection.address() + " wants content after it has refused MAIL FROM")));
            return;
        }
        if (mailRefusal.isPresent() || accepted.isEmpty()) {
            // RFC 2920 section 3.1: a server that takes DATA with no recipient gets an empty message
            writeLast(connection.channel().alloc().buffer(3).writeBytes(new byte[] {'.', '\r', '\n'}));
            return;
        }
        Optional<byte[]> all = content.wire();
        if (all.isPresent()) {
            writeLast(Unpooled.wrappedBuffer(all.get()));
        } else {
            pump();
        }
    }

    private void writeLast(ByteBuf bytes) {
        armStall();
        endRead = true;
        ChannelFuture written = connection.channel().writeAndFlush(bytes);
        written.addListener(done -> {
            if (done.isSuccess() && !result.isDone()) {
                // From here on the next hop may have all of it.
                dotSent = true;
                var timeout = connection.timeouts().dataDone();
                connection.arm(
                        timeout,
                        () -> connection.failure(
                                HopFailure.Kind.UNCERTAIN,
                                "4.4.2",
                                "timed out after " + timeout.toMillis() / 1000.0 + " s waiting for the reply of "
                                        + connection.address()
                                        + " to the message content"));
            }
        });
    }

    private void armStall() {
        var timeout = connection.timeouts().dataBlock();
        connection.arm(
                timeout,
                () -> connection.failure(
                        HopFailure.Kind.LOST,
                        "4.4.2",
                        connection.address() + " has taken nothing of the message for " + timeout.toMillis() / 1000.0
                                + " s"));
    }

    void writabilityChanged() {
        if (bodyStarted && !endRead && !result.isDone()) {
            pump();
        }
    }

    private void pump() {
        if (reading || !connection.channel().isWritable()) {
            return;
        }
        reading = true;
        armStall();
        onWorker(() -> {
            InputStream in = stream.isPresent() ? stream.get() : content.open();
            stream = Optional.of(in);
            byte[] window = new byte[PreparedContent.WINDOW];
            int n = in.readNBytes(window, 0, window.length);
            ByteBuf out = connection.channel().alloc().buffer(n + n / 16 + 16);
            encoder.encode(window, n, out);
            boolean end = n < window.length;
            if (end) {
                encoder.end(out);
            }
            return () -> onWindow(out, end);
        });
    }

    private void onWindow(ByteBuf out, boolean end) {
        reading = false;
        if (result.isDone()) {
            out.release();
            closeStream();
        } else if (end) {
            closeStream();
            writeLast(out);
        } else {
            connection.channel().writeAndFlush(out);
            pump();
        }
    }

    /** Runs {@code work} where it may block, then what it returns on the event loop. */
    private void onWorker(Blocking work) {
        var loop = connection.channel().eventLoop();
        Supplier<Runnable> guarded = () -> {
            try {
                return work.run();
            } catch (IOException | RuntimeException e) {
                return () -> {
                    reading = false;
                    connection.abort(Optional.of(unreadable(e)));
                    closeStream();
                };
            }
        };
        try {
            connection.workers().execute(() -> loop.execute(guarded.get()));
        } catch (RejectedExecutionException e) {
            connection.abort(Optional.of(unreadable(e)));
        }
    }

    private HopFailure unreadable(Exception e) {
        return connection.failure(HopFailure.Kind.CONTENT, "4.3.0", "the message cannot be read: " + e);
    }

    /** Work that may block. */
    @FunctionalInterface
    private interface Blocking {
        Runnable run() throws IOException;
    }

    private void onFinalReply(SmtpReply reply) {
        if (result.isDone()) {
            return;
        }
        replied = true;
        if (!dotSent) {
            // It has made up its mind before the end; what it has read of the rest nobody knows.
            if (reply.isPositive()) {
                unexpected("content it had not got yet", reply);
                return;
            }
            connection.retire();
        }
        if (mailRefusal.isPresent()) {
            endAfterMailRefusal();
        } else if (reply.isPositive()) {
            accepted.forEach(recipient -> settle(
                    recipient,
                    new RecipientOutcome.Delivered(
                            reply, connection.hop(), connection.capabilities().dsn())));
            finish(false);
        } else if (reply.isTransient() || reply.isPermanent()) {
            settleAccepted(reply, "the message content");
            finish(false);
        } else {
            unexpected("the message content", reply);
        }
    }

    private void settleAccepted(SmtpReply reply, String command) {
        accepted.forEach(recipient -> settle(recipient, refusal(reply, command)));
    }

    private void unexpected(String command, SmtpReply reply) {
        HopFailure failure = connection.failure(
                HopFailure.Kind.PROTOCOL,
                "4.5.0",
                connection.address() + " answered '" + reply + "' to " + command + ", which makes no sense");
        connection.abort(Optional.of(failure));
        abort(failure);
    }

    private String said(String command, SmtpReply reply) {
        return connection.address() + " said: " + reply + " (in reply to " + command + ")"
                + (reply.isPermanent() && !isFinal(reply) ? ", after TLS with it had failed" : "");
    }

    private RecipientOutcome refusal(SmtpReply reply, String command) {
        String reason = said(command, reply);
        return isFinal(reply)
                ? new RecipientOutcome.Failed(
                        reply.enhancedStatus().orElse("5.0.0"),
                        reason,
                        Optional.of(reply),
                        Optional.of(connection.hop()))
                : transientOutcome(reply, reason);
    }

    /**
     * Whether a refusal is the last word. Plaintext after TLS had failed is only our second choice: a next hop that wants
     * none has refused that and not the mail (530 of RFC 3207 section 4, X.7.10 of RFC 5248, and what people write).
     */
    private boolean isFinal(SmtpReply reply) {
        boolean forWantOfTls = reply.code() == 530
                || reply.enhancedStatus().equals(Optional.of("5.7.10"))
                || reply.lines().stream()
                        .anyMatch(line -> NAMES_TLS.matcher(line).find());
        return reply.isPermanent() && !(connection.isTlsGivenUp() && forWantOfTls);
    }

    private RecipientOutcome transientOutcome(SmtpReply reply, String reason) {
        return new RecipientOutcome.Deferred(
                SmtpConnection.transientStatus(reply), reason, Optional.of(reply), Optional.of(connection.hop()));
    }

    private void settle(OutboundRecipient recipient, RecipientOutcome outcome) {
        settled.putIfAbsent(recipient.address(), outcome);
    }

    /** The connection is gone, or never was. */
    void abort(HopFailure failure) {
        if (dotSent && !accepted.isEmpty() && failure.kind() != HopFailure.Kind.CONTENT) {
            finish(
                    Optional.of(new HopFailure(
                            HopFailure.Kind.UNCERTAIN,
                            failure.enhancedStatus(),
                            failure.reason() + "; the message may have been accepted",
                            failure.reply(),
                            failure.hop())),
                    true);
        } else {
            if (failure.kind() == HopFailure.Kind.PROTOCOL && mailRefusal.isEmpty()) {
                // Replies that do not fit the commands may belong to others: a refusal among them may be that of
                // another
                // recipient, and a mail must not be given up by a slip.
                settled.values()
                        .removeIf(outcome -> outcome instanceof RecipientOutcome.Failed refused
                                && refused.reply().isPresent());
            }
            // a peer that says no to MAIL and closes has said why
            finish(
                    Optional.of(mailRefusal
                            .map(reply -> connection.failure(HopFailure.Kind.REFUSED, reply, said("MAIL FROM", reply)))
                            .orElse(failure)),
                    true);
        }
    }

    private void finish(boolean nextNeedsReset) {
        finish(Optional.empty(), nextNeedsReset);
    }

    private void finish(Optional<HopFailure> failure, boolean nextNeedsReset) {
        if (result.isDone()) {
            return;
        }
        if (!reading) {
            closeStream();
        }
        connection.disarm();
        connection.transactionOver(nextNeedsReset);
        if (bodyStarted && !dotSent) {
            connection.abort(Optional.of(failure.orElseGet(() ->
                    connection.failure(HopFailure.Kind.LOST, "4.4.2", "message content was refused before its end"))));
        }
        result.complete(new TransactionResult(settled, failure, replied));
    }

    private void closeStream() {
        stream.ifPresent(open -> {
            try {
                connection.workers().execute(() -> {
                    try {
                        open.close();
                    } catch (IOException e) {
                        // it was only read
                    }
                });
            } catch (RejectedExecutionException e) {
                // the engine is closing, and the process with it
            }
        });
        stream = Optional.empty();
    }

    private static boolean needsUtf8(MailAddress address) {
        return !ascii(address.getLocalPart());
    }

    private static boolean malformed(MailAddress address) {
        return address.toString().chars().anyMatch(c -> c < ' ' || c == 127);
    }

    private static boolean ascii(String text) {
        return text.chars().allMatch(c -> c < 128);
    }

    private static String onWire(MailAddress address) {
        String domain = address.getDomain().asString();
        if (Address.isDottedQuad(domain)) {
            // James drops the brackets of address literals
            return address.getLocalPart() + "@[" + domain + "]";
        }
        return needsUtf8(address) || ascii(domain)
                ? address.toString()
                : address.getLocalPart() + "@" + DomainPattern.normalize(domain);
    }
}
