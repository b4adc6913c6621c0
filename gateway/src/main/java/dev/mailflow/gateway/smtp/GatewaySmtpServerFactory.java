/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import org.apache.james.dnsservice.api.DNSService;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.metrics.api.MetricFactory;
import org.apache.james.protocols.lib.handler.ProtocolHandlerLoader;
import org.apache.james.smtpserver.netty.SMTPServer;
import org.apache.james.smtpserver.netty.SMTPServerFactory;

import com.google.inject.Inject;

import dev.mailflow.gateway.accept.AcceptFailures;
import dev.mailflow.policy.event.MailFlowEvents;

/** Makes the gateway's SMTP servers in the place of James's. */
public final class GatewaySmtpServerFactory extends SMTPServerFactory {
    private final MailFlowEvents events;
    private final ClientNames names;
    private final AcceptFailures acceptFailures;

    @Inject
    GatewaySmtpServerFactory(
            DNSService dns,
            ProtocolHandlerLoader loader,
            FileSystem fileSystem,
            MetricFactory metricFactory,
            MailFlowEvents events,
            ClientNames names,
            AcceptFailures acceptFailures) {
        super(dns, loader, fileSystem, metricFactory);
        this.events = events;
        this.names = names;
        this.acceptFailures = acceptFailures;
    }

    @Override
    protected SMTPServer createServer() {
        return new GatewaySmtpServer(smtpMetrics, fileSystem, events, names, acceptFailures);
    }
}
