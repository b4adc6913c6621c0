/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import javax.annotation.PreDestroy;

import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.commons.configuration2.tree.ImmutableNode;
import org.apache.james.ConfigurationSanitizingPerformer;
import org.apache.james.IsStartedProbe;
import org.apache.james.StartUpChecksPerformer;
import org.apache.james.core.Username;
import org.apache.james.imapserver.netty.IMAPServerFactory;
import org.apache.james.lmtpserver.netty.LMTPServerFactory;
import org.apache.james.onami.lifecycle.StageHandler;
import org.apache.james.onami.lifecycle.Stager;
import org.apache.james.protocols.lib.netty.AbstractConfigurableAsyncServer;
import org.apache.james.protocols.lib.netty.AbstractServerFactory;
import org.apache.james.server.core.configuration.ConfigurationProvider;
import org.apache.james.server.core.configuration.FileConfigurationProvider;
import org.apache.james.server.core.filesystem.FileSystemImpl;
import org.apache.james.smtpserver.netty.SMTPServerFactory;
import org.apache.james.user.api.UsersRepository;
import org.apache.james.user.api.UsersRepositoryException;
import org.apache.james.utils.InitializationOperations;
import org.apache.james.utils.PropertiesProvider;
import org.apache.james.utils.WebAdminGuiceProbe;
import org.apache.james.webadmin.WebAdminConfiguration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Guice;
import com.google.inject.Injector;
import com.google.inject.Key;
import com.google.inject.Module;
import com.google.inject.TypeLiteral;
import com.google.inject.util.Modules;

import dev.mailflow.gateway.configuration.EmbeddedConfigurationProvider;
import dev.mailflow.gateway.configuration.EmbeddedPropertiesProvider;
import dev.mailflow.gateway.configuration.JamesFiles;
import dev.mailflow.gateway.domains.OrphanedUsers;
import dev.mailflow.gateway.domains.PolicyDomainList;
import dev.mailflow.gateway.host.OwnNameModule;
import dev.mailflow.gateway.queue.DurableMailQueueFactory;
import dev.mailflow.gateway.smtp.ClientNames;
import dev.mailflow.gateway.tls.RevocationTimeouts;
import dev.mailflow.gateway.tls.ServerCertificate;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;

/**
 * A whole mail gateway in this process: Apache James with the mail flow of {@code mailflow.xml}, from a configuration
 * directory it only reads and a data directory it owns. Several can run side by side on directories of their own.
 *
 * <pre>{@code
 * try (Gateway gateway = Gateway.builder().conf(conf).data(data).ephemeralPorts().build().start()) {
 *     gateway.addUser("bob@example.com", "secret");
 *     int smtp = gateway.port("smtp");
 * }
 * }</pre>
 *
 * <p>An instance starts once. A start that fails leaves nothing running and says why in words for an administrator.
 */
public final class Gateway implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(Gateway.class);
    private static final AtomicInteger INSTANCES = new AtomicInteger();

    private final GatewayDirectories directories;
    private final boolean ephemeralPorts;
    private final Module overrides;

    private final IsStartedProbe probe = new IsStartedProbe();
    private final List<AutoCloseable> resources = new ArrayList<>();
    private State state = State.NEW;
    private Optional<Injector> injector = Optional.empty();
    private Optional<FirstMailbox> firstMailbox = Optional.empty();
    private List<Endpoint> endpoints = List.of();

    private enum State {
        NEW,
        STARTED,
        STOPPED
    }

    private Gateway(Builder builder) {
        this.directories = new GatewayDirectories(
                builder.conf.orElseThrow(() -> new IllegalStateException("conf(Path) was not called")),
                builder.data.orElseThrow(() -> new IllegalStateException("data(Path) was not called")));
        this.ephemeralPorts = builder.ephemeralPorts;
        this.overrides = Modules.combine(builder.overrides);
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Collects what a gateway needs to know before it starts; {@code conf} and {@code data} are required. */
    public static final class Builder {
        private Optional<Path> conf = Optional.empty();
        private Optional<Path> data = Optional.empty();
        private boolean ephemeralPorts;
        private final List<Module> overrides = new ArrayList<>();

        private Builder() {}

        /** The directory that {@code file://conf/} names; never written. */
        public Builder conf(Path directory) {
            conf = Optional.of(directory);
            return this;
        }

        /** The directory that {@code file://var/} names; created if missing. */
        public Builder data(Path directory) {
            data = Optional.of(directory);
            return this;
        }

        /** Every server listens on a port the system chooses, whatever its configuration says. */
        public Builder ephemeralPorts() {
            ephemeralPorts = true;
            return this;
        }

        /** Guice bindings that replace those of the gateway, such as a DNS service or a clock. */
        public Builder overrideWith(Module... modules) {
            overrides.addAll(List.of(modules));
            return this;
        }

        public Gateway build() {
            return new Gateway(this);
        }
    }

    /**
     * Starts everything and returns when mail is accepted.
     *
     * @return this
     * @throws GatewayStartException saying what is wrong and where; nothing is left running then
     */
    public synchronized Gateway start() throws GatewayStartException {
        if (state != State.NEW) {
            throw new IllegalStateException("A gateway starts once; this one is " + state);
        }
        state = State.STARTED;
        try (StartLog log = StartLog.holdBack()) {
            startAll();
            log.started();
            probe.notifyStarted();
            LOGGER.info("event=started conf={} data={}", directories.conf(), directories.data());
            return this;
        } catch (Exception | LinkageError e) {
            LOGGER.debug("event=start-failed", e);
            stop();
            throw StartFailure.of(e, new JamesFiles(directories.conf()));
        }
    }

    private void startAll() throws Exception {
        requireConfiguration();
        resources.add(DataDirectory.own(directories.data()));
        FileSystemImpl fileSystem = new FileSystemImpl(directories);
        ClientNames.leaveToClientNames();
        OwnNameModule.prepare();
        RevocationTimeouts.set();
        ConfigurationProvider files = new FileConfigurationProvider(fileSystem, directories);
        int instance = INSTANCES.incrementAndGet();
        ConfigurationProvider configuration =
                new EmbeddedConfigurationProvider(files, instance == 1 ? "" : "-" + instance, ephemeralPorts);
        PropertiesProvider properties = ephemeralPorts
                ? new EmbeddedPropertiesProvider(fileSystem, directories.configurationPath())
                : new PropertiesProvider(fileSystem, directories.configurationPath());
        Injector created =
                Guice.createInjector(Modules.override(Assembly.of(directories, probe, configuration, properties))
                        .with(overrides));
        injector = Optional.of(created);
        // first of all the policy: a broken one must be the only thing an administrator reads about
        PolicyRepository policies = created.getInstance(PolicyRepository.class);
        if (policies instanceof AutoCloseable watching) {
            resources.add(watching);
        }
        List<PolicyProblem> problems = new JamesFiles(directories.conf()).problems();
        if (!problems.isEmpty()) {
            throw StartFailure.of(problems);
        }
        resources.add(created.getInstance(ClientNames.class));
        // the names an administrator knows, unless the ports are not his anyway
        Listeners.configured(ephemeralPorts ? configuration : files, properties).requireFree();
        ServerCertificate.createIfUsed(files, directories.data(), created.getInstance(Clock.class));

        created.getInstance(ConfigurationSanitizingPerformer.class).sanitize();
        created.getInstance(StartUpChecksPerformer.class).performCheck();
        created.getInstance(InitializationOperations.class).initModules();

        UsersRepository users = created.getInstance(UsersRepository.class);
        firstMailbox = FirstMailbox.ensure(
                directories.data(),
                users,
                created.getInstance(PolicyDomainList.class).getDomains().stream()
                        .findFirst());
        resources.add(created.getInstance(OrphanedUsers.class).watch());
        endpoints = listening(created, files);
    }

    private void requireConfiguration() throws GatewayStartException {
        if (!Files.isDirectory(directories.conf())) {
            throw new GatewayStartException("The configuration directory " + directories.conf()
                    + " does not exist; give one with --conf, such as a copy of james-conf/");
        }
        List<String> missing = List.of("mailetcontainer.xml", "smtpserver.xml").stream()
                .filter(file -> !Files.isRegularFile(directories.conf().resolve(file)))
                .toList();
        if (!missing.isEmpty()) {
            throw new GatewayStartException("The configuration directory " + directories.conf() + " has no "
                    + String.join(" and no ", missing) + "; copy it from james-conf/");
        }
    }

    private static List<Endpoint> listening(Injector injector, ConfigurationProvider files)
            throws ConfigurationException {
        List<Endpoint> endpoints = new ArrayList<>();
        add(endpoints, injector.getInstance(SMTPServerFactory.class), files, "smtpserver");
        add(endpoints, injector.getInstance(LMTPServerFactory.class), files, "lmtpserver");
        add(endpoints, injector.getInstance(IMAPServerFactory.class), files, "imapserver");
        WebAdminConfiguration webAdmin = injector.getInstance(WebAdminConfiguration.class);
        if (webAdmin.isEnabled()) {
            int port = injector.getInstance(WebAdminGuiceProbe.class)
                    .getWebAdminPort()
                    .getValue();
            endpoints.add(new Endpoint(
                    "webadmin",
                    new InetSocketAddress(webAdmin.getHost(), port),
                    webAdmin.isTlsEnabled() ? Endpoint.Security.TLS : Endpoint.Security.PLAIN));
        }
        return List.copyOf(endpoints);
    }

    private static void add(
            List<Endpoint> endpoints, AbstractServerFactory factory, ConfigurationProvider files, String component)
            throws ConfigurationException {
        // a factory makes its servers in the order of the file, disabled ones included
        List<HierarchicalConfiguration<ImmutableNode>> configured =
                files.getConfiguration(component).configurationsAt(component);
        List<AbstractConfigurableAsyncServer> servers = factory.getServers();
        for (int i = 0; i < servers.size(); i++) {
            AbstractConfigurableAsyncServer server = servers.get(i);
            if (server.isEnabled()) {
                String name = configured.get(i).getString("jmxName", component);
                server.getListenAddresses()
                        .forEach(address -> endpoints.add(new Endpoint(name, address, security(server))));
            }
        }
    }

    private static Endpoint.Security security(AbstractConfigurableAsyncServer server) {
        if (server.getStartTLSSupported()) {
            return Endpoint.Security.STARTTLS;
        }
        return server.getSocketType().equals("secure") ? Endpoint.Security.TLS : Endpoint.Security.PLAIN;
    }

    /** Every address this gateway listens on; empty unless started. */
    public synchronized List<Endpoint> endpoints() {
        return endpoints;
    }

    /**
     * The address of one server.
     *
     * @param name its {@code jmxName}: in the sample configuration smtp, submission, smtps, lmtp, imap, imaps; or webadmin
     * @throws NoSuchElementException naming the servers there are
     */
    public synchronized Endpoint endpoint(String name) {
        return endpoints.stream()
                .filter(endpoint -> endpoint.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new NoSuchElementException("No server '" + name + "'; there are "
                        + endpoints.stream().map(Endpoint::name).collect(Collectors.joining(", "))));
    }

    /** The port of one server, as in {@link #endpoint(String)}. */
    public int port(String name) {
        return endpoint(name).port();
    }

    /** The mailbox the gateway made for itself, if it still has one. */
    public synchronized Optional<FirstMailbox> firstMailbox() {
        return firstMailbox;
    }

    public Path conf() {
        return directories.conf();
    }

    public Path data() {
        return directories.data();
    }

    /**
     * Makes a mailbox user.
     *
     * @param address whose domain the policy accepts
     * @throws UsersRepositoryException if the user exists or the domain is not local
     */
    public void addUser(String address, String password) throws UsersRepositoryException {
        instance(UsersRepository.class).addUser(Username.of(address), password);
    }

    /** An object of the running server, such as its {@link PolicyRepository}, by its Guice type. */
    public <T> T instance(Class<T> type) {
        return instance(Key.get(type));
    }

    /** A part of the running gateway by its binding. */
    public synchronized <T> T instance(Key<T> key) {
        return injector.orElseThrow(() -> new IllegalStateException("The gateway was not started"))
                .getInstance(key);
    }

    /** Stops taking mail, lets what is being processed end or return to its queue, and closes every file. */
    public synchronized void stop() {
        if (state != State.STARTED) {
            return;
        }
        state = State.STOPPED;
        endpoints = List.of();
        if (probe.isStarted()) {
            injector.ifPresent(Gateway::stopListening);
            instance(DurableMailQueueFactory.class).stopDequeuing();
        }
        injector.ifPresent(Gateway::destroy);
        probe.notifyStoped();
        for (int i = resources.size() - 1; i >= 0; i--) {
            try {
                resources.get(i).close();
            } catch (Exception e) {
                LOGGER.warn(
                        "event=stop-incomplete part={}",
                        resources.get(i).getClass().getSimpleName(),
                        e);
            }
        }
        LOGGER.info("event=stopped data={}", directories.data());
    }

    /** All at once, for each server lets its open connections go on for two seconds. */
    private static void stopListening(Injector injector) {
        CompletableFuture<?>[] stops = Stream.of(
                        SMTPServerFactory.class, LMTPServerFactory.class, IMAPServerFactory.class)
                .flatMap(factory -> injector.getInstance(factory).getServers().stream())
                .filter(AbstractConfigurableAsyncServer::isEnabled)
                .map(server -> CompletableFuture.runAsync(server::stop, task -> new Thread(task, "stop").start()))
                .toArray(CompletableFuture[]::new);
        CompletableFuture.allOf(stops)
                .exceptionally(failure -> {
                    LOGGER.warn("event=stop-incomplete part=servers", failure);
                    return null;
                })
                .join();
    }

    private static void destroy(Injector injector) {
        injector.getInstance(Key.get(new TypeLiteral<Stager<PreDestroy>>() {})).stage(new StageHandler() {
            @Override
            public <I> void onSuccess(I part) {
                LOGGER.debug("event=part-stopped part={}", part.getClass().getSimpleName());
            }

            @Override
            public <I, E extends Throwable> void onError(I part, E error) {
                LOGGER.debug("event=stop-incomplete part={}", part.getClass().getSimpleName(), error);
            }
        });
    }

    @Override
    public void close() {
        stop();
    }
}
