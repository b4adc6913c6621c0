/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import org.apache.commons.configuration2.BaseHierarchicalConfiguration;
import org.apache.james.CoreDataModule;
import org.apache.james.IsStartedProbe;
import org.apache.james.NaiveDelegationStoreModule;
import org.apache.james.domainlist.api.DomainList;
import org.apache.james.modules.CommonServicesModule;
import org.apache.james.modules.IsStartedProbeModule;
import org.apache.james.modules.MailboxModule;
import org.apache.james.modules.MailetProcessingModule;
import org.apache.james.modules.data.SieveFileRepositoryModule;
import org.apache.james.modules.mailbox.DefaultEventModule;
import org.apache.james.modules.mailbox.MemoryDeadLetterModule;
import org.apache.james.modules.protocols.IMAPServerModule;
import org.apache.james.modules.protocols.LMTPServerModule;
import org.apache.james.modules.protocols.ProtocolHandlerModule;
import org.apache.james.modules.protocols.SMTPServerModule;
import org.apache.james.modules.server.DataRoutesModules;
import org.apache.james.modules.server.MailQueueRoutesModule;
import org.apache.james.modules.server.MailRepositoriesRoutesModule;
import org.apache.james.modules.server.MailboxRoutesModule;
import org.apache.james.modules.server.MailetContainerModule.DefaultProcessorsConfigurationSupplier;
import org.apache.james.modules.server.NoJwtModule;
import org.apache.james.modules.server.RawPostDequeueDecoratorModule;
import org.apache.james.modules.server.WebAdminServerModule;
import org.apache.james.server.core.configuration.ConfigurationProvider;
import org.apache.james.smtpserver.netty.SMTPServerFactory;
import org.apache.james.utils.PropertiesProvider;
import org.apache.james.webadmin.Routes;

import com.google.inject.AbstractModule;
import com.google.inject.Module;
import com.google.inject.Provides;
import com.google.inject.Scopes;
import com.google.inject.Singleton;
import com.google.inject.multibindings.Multibinder;
import com.google.inject.util.Modules;

import dev.mailflow.gateway.database.MailboxDatabaseModule;
import dev.mailflow.gateway.database.UserDatabaseModule;
import dev.mailflow.gateway.domains.PolicyDomainList;
import dev.mailflow.gateway.host.OwnNameModule;
import dev.mailflow.gateway.queue.MailQueueModule;
import dev.mailflow.gateway.repository.MailRepositoryModule;
import dev.mailflow.gateway.smtp.GatewaySmtpServerFactory;
import dev.mailflow.gateway.storage.IncomingFiles;
import dev.mailflow.gateway.webadmin.MailFlowRoutes;
import dev.mailflow.gateway.webadmin.WebAdminAuthenticationModule;
import dev.mailflow.hooks.Transactions;
import dev.mailflow.policy.PolicyRepository;

/** The parts of James that make up the gateway, and what replaces some of them. */
final class Assembly {
    private Assembly() {}

    static Module of(
            GatewayDirectories directories,
            IsStartedProbe probe,
            ConfigurationProvider configuration,
            PropertiesProvider properties) {
        Module james = Modules.combine(
                new IsStartedProbeModule(probe),
                new CommonServicesModule(directories),
                new ProtocolHandlerModule(),
                new SMTPServerModule(),
                new LMTPServerModule(),
                new IMAPServerModule(),
                new WebAdminServerModule(),
                new NoJwtModule(),
                new DataRoutesModules(),
                new MailboxRoutesModule(),
                new MailQueueRoutesModule(),
                new MailRepositoriesRoutesModule(),
                new MailetProcessingModule(),
                new RawPostDequeueDecoratorModule(),
                new MailboxModule(),
                new DefaultEventModule(),
                new MemoryDeadLetterModule(),
                new CoreDataModule(),
                new NaiveDelegationStoreModule(),
                new SieveFileRepositoryModule());
        Module ours = Modules.combine(
                new MailQueueModule(),
                new MailboxDatabaseModule(),
                new UserDatabaseModule(),
                new MailRepositoryModule(),
                new AbstractModule() {
                    @Override
                    protected void configure() {
                        bind(DomainList.class).to(PolicyDomainList.class);
                        Multibinder.newSetBinder(binder(), Routes.class)
                                .addBinding()
                                .to(MailFlowRoutes.class);
                        bind(DefaultProcessorsConfigurationSupplier.class)
                                .toInstance(BaseHierarchicalConfiguration::new);
                    }
                });
        return Modules.override(james, ours)
                .with(new WebAdminAuthenticationModule(), new OwnNameModule(), new AbstractModule() {
                    @Override
                    protected void configure() {
                        bind(SMTPServerFactory.class)
                                .to(GatewaySmtpServerFactory.class)
                                .in(Scopes.SINGLETON);
                        bind(ConfigurationProvider.class).toInstance(configuration);
                        bind(PropertiesProvider.class).toInstance(properties);
                        bind(IncomingFiles.class)
                                .toInstance(new IncomingFiles(DataDirectory.incoming(directories.data())));
                    }

                    /** The dialogue is not on the event loop here. */
                    @Provides
                    @Singleton
                    Transactions transactions(PolicyRepository policies) {
                        return Transactions.mayWait(policies);
                    }
                });
    }
}
