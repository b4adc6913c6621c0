/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyManagementException;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509KeyManager;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.commons.configuration2.tree.ImmutableNode;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.protocols.api.ClientAuth;
import org.apache.james.protocols.api.ProtocolSession;
import org.apache.james.protocols.api.ProtocolTransport;
import org.apache.james.protocols.lib.SslConfig;
import org.apache.james.protocols.lib.handler.HandlersPackage;
import org.apache.james.protocols.netty.AbstractChannelPipelineFactory;
import org.apache.james.protocols.netty.ChannelHandlerFactory;
import org.apache.james.protocols.netty.Encryption;
import org.apache.james.protocols.smtp.SMTPConfiguration;
import org.apache.james.protocols.smtp.SMTPProtocol;
import org.apache.james.smtpserver.netty.SMTPServer;
import org.apache.james.smtpserver.netty.SmtpMetrics;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import dev.mailflow.gateway.accept.AcceptFailures;
import dev.mailflow.gateway.host.HelloName;
import dev.mailflow.gateway.tls.ServerIdentity;
import dev.mailflow.gateway.tls.WatchedFiles;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.event.MailFlowEvents;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.concurrent.EventExecutorGroup;
import io.netty.util.concurrent.NonStickyEventExecutorGroup;
import nl.altindag.ssl.SSLFactory;
import nl.altindag.ssl.util.PemUtils;

/**
 * James's SMTP server with eight differences. It asks for a client certificate and leaves its judgement to the inbound
 * connectors ({@code <clientAuth>} keeps its meaning: a certificate is needed, and of that trust store). It reads a PROXY
 * header from the peers that {@code <proxies>} names, and from nobody else. It takes no AUTH in plaintext where
 * {@code <requireSSL>} asks for TLS ({@link EncryptedAuthentication}). It greets a client before it knows the client's name
 * ({@link ClientNames}), and by a name of its own for which it asks nobody ({@link HelloName}). It
 * tells once of connections that it cannot accept ({@link AcceptFailures}). And it runs the SMTP dialogue, with the look-ups and queues of James and of all hooks, on threads
 * that may block instead of on Netty's event loop (see {@link SmtpPipeline}).
 *
 * <p>A certificate that is replaced is shown to the next client, without a restart: the files that {@code <tls>} names are
 * watched. While what they hold is of no use, the certificate before it stays, with an error in the log.
 *
 * <pre>{@code
 * <smtpserver>
 *   <proxies>192.0.2.1, 2001:db8::/64</proxies>   <!-- these must send a PROXY header, version 1 or 2 -->
 *   <proxyRequired>true</proxyRequired>           <!-- only these may connect; needs <proxies> -->
 *   <maxExecutorCount>64</maxExecutorCount>       <!-- default: dialogues that may block at the same time -->
 *   <ioWorkerCount>2</ioWorkerCount>              <!-- event loops; default: one for each processor -->
 * }</pre>
 */
final class GatewaySmtpServer extends SMTPServer {
    private static final Logger LOGGER = LoggerFactory.getLogger(GatewaySmtpServer.class);
    private static final int DIALOGUE_THREADS = 64;
    private static final String IO_WORKERS = "ioWorkerCount";
    private static final int STOP_SECONDS = 5;

    private final SmtpMetrics metrics;
    private final FileSystem fileSystem;
    private final MailFlowEvents events;
    private final ClientNames names;
    private final AcceptFailures acceptFailures;

    private String helloName = "";
    private Optional<SslConfig> tls = Optional.empty();
    private IpRangeSet proxies = IpRangeSet.empty();
    private Optional<SMTPProtocol> protocol = Optional.empty();
    private int dialogueThreads = DIALOGUE_THREADS;
    private Optional<EventExecutorGroup> dialogues = Optional.empty();
    // read by every new connection, replaced by the thread that watches the files
    private volatile Optional<Encryption> current = Optional.empty();
    private Optional<WatchedFiles> watch = Optional.empty();

    GatewaySmtpServer(
            SmtpMetrics metrics,
            FileSystem fileSystem,
            MailFlowEvents events,
            ClientNames names,
            AcceptFailures acceptFailures) {
        super(metrics);
        this.metrics = metrics;
        this.fileSystem = fileSystem;
        this.events = events;
        this.names = names;
        this.acceptFailures = acceptFailures;
    }

    @Override
    protected void configureHelloName(Configuration server) throws ConfigurationException {
        helloName = HelloName.of(server);
    }

    @Override
    public String getHelloName() {
        return helloName;
    }

    @Override
    public void doConfigure(HierarchicalConfiguration<ImmutableNode> configuration) throws ConfigurationException {
        // the handlers of the file come before James's own, among them the one that takes AUTH
        configuration.addProperty("handlerchain.handler(-1)[@class]", EncryptedAuthentication.class.getName());
        configuration.addProperty(
                "handlerchain.handler" + EncryptedAuthentication.REQUIRED,
                configuration.getBoolean("auth.requireSSL", false));
        if (!configuration.containsKey(IO_WORKERS)) {
            // bytes and TLS are all they do; more of them than processors only wake each other
            configuration.addProperty(IO_WORKERS, Runtime.getRuntime().availableProcessors());
        }
        super.doConfigure(configuration);
        tls = Optional.of(SslConfig.parse(configuration));
        dialogueThreads = configuration.getInt("maxExecutorCount", DIALOGUE_THREADS);
        proxies = IpRangeSet.of(proxies(configuration.getString("proxies", "")));
        if (proxyRequired && proxies.isEmpty()) {
            throw new ConfigurationException("smtpserver.xml, server '" + jmxName
                    + "': found <proxyRequired>true</proxyRequired> without <proxies>, expected the addresses of the"
                    + " proxies, for whoever may send a PROXY header may claim any address");
        }
    }

    private List<IpRange> proxies(String text) throws ConfigurationException {
        try {
            return Arrays.stream(text.split(","))
                    .map(String::trim)
                    .filter(part -> !part.isEmpty())
                    .map(IpRange::parse)
                    .toList();
        } catch (IllegalArgumentException e) {
            throw new ConfigurationException("smtpserver.xml, server '" + jmxName + "', <proxies>: " + e.getMessage());
        }
    }

    @Override
    protected void buildSSLContext() throws Exception {
        SslConfig config = tls.orElseThrow();
        boolean encrypted = config.useSSL() || config.useStartTLS();
        if (!encrypted || config.getClientAuth() == ClientAuth.NEED) {
            super.buildSSLContext();
            current = Optional.ofNullable(encryption);
            return;
        }
        SSLContext context = context(config);
        encryption = config.useStartTLS()
                ? Encryption.createStartTls(
                        context, config.getEnabledCipherSuites(), config.getEnabledProtocols(), ClientAuth.WANT)
                : Encryption.createTls(
                        context, config.getEnabledCipherSuites(), config.getEnabledProtocols(), ClientAuth.WANT);
        current = Optional.of(encryption);
    }

    @Override
    protected Encryption getEncryption() {
        return current.orElse(null);
    }

    private void watchCertificates() {
        SslConfig config = tls.orElseThrow();
        List<Path> files = Stream.of(
                        config.getKeystore(), config.getPrivateKey(), config.getCertificates(), config.getTruststore())
                .filter(Objects::nonNull)
                .flatMap(url -> file(url).stream())
                .toList();
        if ((config.useSSL() || config.useStartTLS()) && !files.isEmpty()) {
            watch = Optional.of(new WatchedFiles(jmxName, files, this::reload));
        }
    }

    private Optional<Path> file(String url) {
        try {
            return Optional.of(fileSystem.getFile(url).toPath());
        } catch (IOException e) {
            // not a file, as in class path resources: nothing to watch
            return Optional.empty();
        }
    }

    private void reload() {
        try {
            reloadSSLCertificate();
            LOGGER.info("event=certificate-reloaded server={}: shown to clients from now on", jmxName);
        } catch (Exception e) {
            LOGGER.error(
                    "event=certificate-rejected server={}: the files of <tls> have changed and are of no use ({}); the"
                            + " certificate before stays in force",
                    jmxName,
                    e.getMessage());
        }
    }

    private SSLContext context(SslConfig config) throws Exception {
        Optional<char[]> secret = Optional.ofNullable(config.getSecret()).map(String::toCharArray);
        KeyManager identity;
        if (config.getKeystore() != null) {
            char[] password = secret.orElseGet(() -> new char[0]);
            identity = SSLFactory.builder()
                    .withIdentityMaterial(
                            fileSystem.getFile(config.getKeystore()).toPath(),
                            password,
                            password,
                            config.getKeystoreType())
                    .build()
                    .getKeyManager()
                    .orElseThrow(() -> new KeyManagementException("no key in " + config.getKeystore()));
        } else {
            try (var certificates = fileSystem.getResource(config.getCertificates());
                    var key = fileSystem.getResource(config.getPrivateKey())) {
                identity = PemUtils.loadIdentityMaterial(certificates, key, secret.orElse(null));
            }
        }
        return context(identity);
    }

    private SSLContext context(KeyManager identity) throws GeneralSecurityException {
        X509Certificate shown = ServerIdentity.of((X509KeyManager) identity);
        LOGGER.info(
                "server={} certificate=\"{}\" not-after={}",
                jmxName,
                shown.getSubjectX500Principal(),
                shown.getNotAfter().toInstant());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(new KeyManager[] {identity}, new TrustManager[] {new AnyClientCertificate()}, null);
        return context;
    }

    @Override
    protected void preInit() throws Exception {
        super.preInit();
        watchCertificates();
        // ordered for each connection, on whichever thread is free: a slow connection makes no other one wait for its
        // thread
        dialogues = Optional.of(
                new NonStickyEventExecutorGroup(new DialogueThreads(jmxName + "-dialogue", dialogueThreads)));
        SMTPConfiguration configuration = new SMTPHandlerConfigurationDataImpl();
        protocol = Optional.of(new SMTPProtocol(getProtocolHandlerChain(), configuration) {
            @Override
            public ProtocolSession newSession(ProtocolTransport transport) {
                return new GatewaySmtpSession(configuration, transport, names);
            }
        });
    }

    @Override
    protected void configureBootstrap(ServerBootstrap bootstrap) {
        super.configureBootstrap(bootstrap);
        bootstrap.handler(acceptFailures.of(jmxName));
    }

    @Override
    protected void postDestroy() {
        super.postDestroy();
        watch.ifPresent(WatchedFiles::close);
        dialogues.ifPresent(group -> {
            if (!group.shutdownGracefully(0, STOP_SECONDS, TimeUnit.SECONDS)
                    .awaitUninterruptibly(STOP_SECONDS, TimeUnit.SECONDS)) {
                LOGGER.warn("event=stop-incomplete part=smtp reason=\"a dialogue still blocks\"");
            }
        });
    }

    @Override
    protected ChannelHandlerFactory createFrameHandlerFactory() {
        return pipeline -> new StartTlsFramer(pipeline, AbstractChannelPipelineFactory.MAX_LINE_LENGTH);
    }

    @Override
    protected ChannelInboundHandlerAdapter createCoreHandler() {
        return new SmtpDialogue(
                protocol.orElseThrow(),
                Optional.ofNullable(getEncryption()),
                metrics,
                events,
                AbstractChannelPipelineFactory.MAX_LINE_LENGTH);
    }

    @Override
    protected Class<? extends HandlersPackage> getCoreHandlersPackage() {
        return GatewayHandlers.class;
    }

    @Override
    protected SmtpPipeline createPipelineFactory() {
        return new SmtpPipeline(
                new SmtpPipeline.Settings(getTimeout(), connectionLimit, connPerIP, proxies, proxyRequired),
                () -> Optional.ofNullable(getEncryption()),
                getFrameHandlerFactory(),
                this::createCoreHandler,
                dialogues.orElseThrow(),
                events);
    }
}
