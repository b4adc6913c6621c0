/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.host;

import javax.inject.Provider;
import javax.mail.Session;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.dnsservice.dnsjava.DNSJavaService;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.imap.api.process.ImapProcessor;
import org.apache.james.imap.decode.ImapDecoder;
import org.apache.james.imap.encode.ImapEncoder;
import org.apache.james.imapserver.netty.IMAPServer;
import org.apache.james.imapserver.netty.IMAPServerFactory;
import org.apache.james.imapserver.netty.ImapMetrics;
import org.apache.james.lmtpserver.netty.LMTPMetricsImpl;
import org.apache.james.lmtpserver.netty.LMTPServer;
import org.apache.james.lmtpserver.netty.LMTPServerFactory;
import org.apache.james.metrics.api.GaugeRegistry;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.modules.server.TaskSerializationModule;
import org.apache.james.protocols.lib.handler.ProtocolHandlerLoader;
import org.apache.james.protocols.lmtp.LMTPConfiguration;
import org.apache.james.task.Hostname;
import org.apache.james.task.MemoryTaskManager;
import org.apache.james.task.TaskManager;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import com.google.inject.Scopes;
import com.google.inject.Singleton;

import dev.mailflow.gateway.accept.AcceptFailures;
import dev.mailflow.policy.host.OwnHostName;
import io.netty.bootstrap.ServerBootstrap;

/**
 * The parts of James that want to know what this host is called, told so by {@link OwnHostName}. Each asks the system by
 * itself, which may take long each time; the DNS client and the task manager do not start without an answer. The servers of LMTP
 * and IMAP among them tell of connections as those of SMTP do ({@link AcceptFailures}).
 */
public final class OwnNameModule extends AbstractModule {
    private static final String MAIL_HOST = "mail.host";

    @Override
    protected void configure() {
        bind(DNSJavaService.class).to(OwnNameDns.class);
        // instead of TaskManagerModule, which fails already where it is only overridden
        install(new TaskSerializationModule());
        bind(MemoryTaskManager.class).in(Scopes.SINGLETON);
        bind(TaskManager.class).to(MemoryTaskManager.class);
    }

    /** Tells those that take the name from elsewhere than Guice. Call before James is loaded. */
    public static void prepare() {
        // a class of James that asks the system while it is loaded: at the same time as we do
        Thread loading = new Thread(OwnNameModule::loadConfiguration, "own-host-name-of-lmtp");
        loading.setDaemon(true);
        loading.start();
        // JavaMail ends Message-IDs in it
        if (System.getProperty(MAIL_HOST) == null) {
            System.setProperty(MAIL_HOST, OwnHostName.get());
        }
        // the session of all mail of James, whose properties are those of who asks first
        Session unused = Session.getDefaultInstance(System.getProperties());
    }

    private static void loadConfiguration() {
        try {
            Class<?> unused = Class.forName(LMTPConfiguration.class.getName());
        } catch (ClassNotFoundException e) {
            throw new LinkageError(e.getMessage(), e);
        }
    }

    @Provides
    @Singleton
    Hostname hostname() {
        return new Hostname(OwnHostName.get());
    }

    @Provides
    @Singleton
    LMTPServerFactory lmtp(
            ProtocolHandlerLoader loader, FileSystem fileSystem, MetricFactory metrics, AcceptFailures acceptFailures) {
        return new LMTPServerFactory(loader, fileSystem, metrics) {
            @Override
            protected LMTPServer createServer() {
                return new Lmtp(lmtpMetrics, acceptFailures);
            }
        };
    }

    @Provides
    @Singleton
    IMAPServerFactory imap(
            FileSystem fileSystem,
            Provider<ImapDecoder> decoders,
            Provider<ImapEncoder> encoders,
            Provider<ImapProcessor> processors,
            MetricFactory metrics,
            GaugeRegistry gauges,
            AcceptFailures acceptFailures) {
        return new IMAPServerFactory(fileSystem, decoders, encoders, processors, metrics, gauges) {
            @Override
            protected IMAPServer createServer() {
                return new Imap(
                        decoder.get(), encoder.get(), processor.get(), imapMetrics, gaugeRegistry, acceptFailures);
            }
        };
    }

    @SuppressWarnings("unchecked") // James's pipeline is a raw type
    private static final class Lmtp extends LMTPServer {
        private final AcceptFailures acceptFailures;
        private String helloName = "";

        private Lmtp(LMTPMetricsImpl metrics, AcceptFailures acceptFailures) {
            super(metrics);
            this.acceptFailures = acceptFailures;
        }

        @Override
        protected void configureBootstrap(ServerBootstrap bootstrap) {
            super.configureBootstrap(bootstrap);
            bootstrap.handler(acceptFailures.of(jmxName));
        }

        @Override
        protected void configureHelloName(Configuration server) throws ConfigurationException {
            helloName = HelloName.of(server);
        }

        @Override
        public String getHelloName() {
            return helloName;
        }
    }

    @SuppressWarnings("unchecked") // James's pipeline is a raw type
    private static final class Imap extends IMAPServer {
        private final AcceptFailures acceptFailures;
        private String helloName = "";

        private Imap(
                ImapDecoder decoder,
                ImapEncoder encoder,
                ImapProcessor processor,
                ImapMetrics metrics,
                GaugeRegistry gauges,
                AcceptFailures acceptFailures) {
            super(decoder, encoder, processor, metrics, gauges);
            this.acceptFailures = acceptFailures;
        }

        @Override
        protected void configureBootstrap(ServerBootstrap bootstrap) {
            super.configureBootstrap(bootstrap);
            bootstrap.handler(acceptFailures.of(jmxName));
        }

        @Override
        protected void configureHelloName(Configuration server) throws ConfigurationException {
            helloName = HelloName.of(server);
        }

        @Override
        public String getHelloName() {
            return helloName;
        }
    }
}
