/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;

import org.apache.james.core.Username;
import org.apache.james.mailbox.MailboxManager;
import org.apache.james.mailbox.MailboxSession;
import org.apache.james.mailbox.exception.MailboxException;
import org.apache.james.mailbox.exception.MailboxNotFoundException;
import org.apache.james.mailbox.model.FetchGroup;
import org.apache.james.mailbox.model.MailboxPath;
import org.apache.james.mailbox.model.MessageRange;
import org.apache.james.mailbox.model.MessageResult;
import org.apache.james.queue.api.MailQueue;
import org.apache.james.queue.api.MailQueueFactory;
import org.apache.james.queue.api.MailQueueName;
import org.apache.james.queue.api.ManageableMailQueue;
import org.apache.mailet.Mail;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;

import com.google.inject.Key;
import com.google.inject.Module;
import com.google.inject.TypeLiteral;

import dev.mailflow.delivery.queue.ConnectorQueues;
import dev.mailflow.gateway.Gateway;
import dev.mailflow.gateway.smtp.ClientNames;
import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;

/**
 * A real gateway on ports of its own, with the shipped configuration but for what a test changes. Its port {@code smtp}
 * lets clients on loopback relay, so that tests need not authenticate.
 */
final class GatewayScenario implements AutoCloseable {
    private final Path conf;
    private final Gateway gateway;
    private final List<MailFlowEvent> events = new CopyOnWriteArrayList<>();

    private GatewayScenario(Path conf, Gateway gateway) {
        this.conf = conf;
        this.gateway = gateway;
        gateway.instance(MailFlowEvents.class).add(events::add);
    }

    static Builder in(Path directory) {
        return new Builder(directory);
    }

    /** Collects what differs from the shipped configuration. */
    static final class Builder {
        private final Path directory;
        private final Map<String, String> files = new LinkedHashMap<>();
        private final Map<String, UnaryOperator<String>> edits = new LinkedHashMap<>();
        private final List<Module> overrides = new ArrayList<>();

        private Builder(Path directory) {
            this.directory = directory;
            edits.put(
                    "smtpserver.xml",
                    text -> text.replaceFirst(
                            "<verifyIdentity>",
                            "<authorizedAddresses>127.0.0.0/8</authorizedAddresses><verifyIdentity>"));
        }

        /** The content of {@code <mailflow>}. */
        Builder policy(String content) {
            return file("mailflow.xml", "<mailflow>\n" + content + "\n</mailflow>\n");
        }

        /** A file in the configuration directory. */
        Builder file(String name, String content) {
            files.put(name, content);
            return this;
        }

        /** A change to a shipped file. */
        Builder edit(String name, UnaryOperator<String> change) {
            edits.merge(name, change, (first, second) -> text -> second.apply(first.apply(text)));
            return this;
        }

        /** Who must send a PROXY header; nobody may relay without authentication then. */
        Builder proxies(String addresses) {
            return edit(
                    "smtpserver.xml",
                    text -> text.replaceFirst(
                            "<authorizedAddresses>127.0.0.0/8</authorizedAddresses>",
                            "<proxies>" + addresses + "</proxies>"));
        }

        /** The gateway goes by this clock. */
        Builder clock(Clock clock) {
            overrides.add(binder -> binder.bind(Clock.class).toInstance(clock));
            return this;
        }

        /** Who knows the names of clients. */
        Builder clientNames(ClientNames names) {
            overrides.add(binder -> binder.bind(ClientNames.class).toInstance(names));
            return this;
        }

        /** Writes the configuration without starting anything. */
        Path configuration() {
            Path conf = directory.resolve("conf");
            if (!Files.exists(conf)) {
                Project.copyOfSampleConfiguration(conf);
                edits.forEach((name, change) -> {
                    try {
                        Path file = conf.resolve(name);
                        Files.writeString(file, change.apply(Files.readString(file)));
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
            }
            files.forEach((name, content) -> write(conf.resolve(name), content));
            return conf;
        }

        GatewayScenario start() throws Exception {
            Path conf = configuration();
            return new GatewayScenario(
                    conf,
                    Gateway.builder()
                            .conf(conf)
                            .data(directory.resolve("data"))
                            .ephemeralPorts()
                            .overrideWith(overrides.toArray(Module[]::new))
                            .build()
                            .start());
        }
    }

    Gateway gateway() {
        return gateway;
    }

    /** A client of the port {@code smtp}. */
    SmtpSender sender() {
        return new SmtpSender("127.0.0.1", gateway.port("smtp"));
    }

    /** Replaces the policy as an administrator would: by writing the file. */
    void changePolicy(String content) {
        write(conf.resolve("mailflow.xml"), "<mailflow>\n" + content + "\n</mailflow>\n");
    }

    /** Replaces a file in the configuration directory. */
    void changeFile(String name, String content) {
        write(conf.resolve(name), content);
    }

    private static void write(Path file, String content) {
        try {
            Files.createDirectories(file.getParent());
            Files.writeString(file, content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Events of a kind so far. */
    <E extends MailFlowEvent> List<E> events(Class<E> kind) {
        return events.stream().filter(kind::isInstance).map(kind::cast).toList();
    }

    /** What waits in a connector's queue. */
    List<Mail> queued(String connector) {
        return queued(ConnectorQueues.of(connector));
    }

    /** What waits in the spool. */
    List<Mail> spooled() {
        return queued(MailQueueFactory.SPOOL);
    }

    /** Lets what waits in the spool wait no longer. */
    void flushSpool() {
        try {
            gateway.instance(QUEUES).createQueue(MailQueueFactory.SPOOL).flush();
        } catch (MailQueue.MailQueueException e) {
            throw new IllegalStateException(e);
        }
    }

    private List<Mail> queued(MailQueueName name) {
        MailQueueFactory<? extends ManageableMailQueue> queues = gateway.instance(QUEUES);
        List<Mail> mails = new ArrayList<>();
        try (ManageableMailQueue queue = queues.createQueue(name)) {
            ManageableMailQueue.MailQueueIterator items = queue.browse();
            items.forEachRemaining(item -> mails.add(item.getMail()));
            items.close();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return mails;
    }

    /** What was delivered to the inbox of one of the gateway's users, whole messages. */
    List<String> mailbox(String user) {
        MailboxManager mailboxes = gateway.instance(MailboxManager.class);
        MailboxSession session = mailboxes.createSystemSession(Username.of(user));
        List<String> messages = new ArrayList<>();
        try {
            Iterator<MessageResult> results = mailboxes
                    .getMailbox(MailboxPath.inbox(session), session)
                    .getMessages(MessageRange.all(), FetchGroup.FULL_CONTENT, session);
            while (results.hasNext()) {
                try (InputStream in = results.next().getFullContent().getInputStream()) {
                    messages.add(new String(in.readAllBytes(), StandardCharsets.ISO_8859_1));
                }
            }
        } catch (MailboxNotFoundException e) {
            return List.of();
        } catch (MailboxException | IOException e) {
            throw new IllegalStateException(e);
        }
        return messages;
    }

    private static final Key<MailQueueFactory<? extends ManageableMailQueue>> QUEUES =
            Key.get(new TypeLiteral<MailQueueFactory<? extends ManageableMailQueue>>() {});

    /** Waits for what comes about; while it does not, asking for it may fail. */
    static ConditionFactory await() {
        return Awaitility.await()
                .atMost(Duration.ofSeconds(60))
                .pollInterval(Duration.ofMillis(50))
                .ignoreExceptionsMatching(
                        thrown -> thrown instanceof IOException || thrown instanceof IllegalStateException);
    }

    @Override
    public void close() {
        gateway.close();
    }
}
