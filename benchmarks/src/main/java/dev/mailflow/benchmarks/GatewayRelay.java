/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.nio.file.Files;

/** Our gateway: durable queue, TLS of level {@code domain}, which verifies the next hop's certificate and name. */
final class GatewayRelay implements Relay {
    private final GatewayProcess gateway;

    private GatewayRelay(GatewayProcess gateway) {
        this.gateway = gateway;
    }

    static GatewayRelay start(Workbench workbench, NextHops nextHops) {
        return new GatewayRelay(GatewayProcess.start(
                workbench,
                RelaySystem.GATEWAY.label(),
                policy(nextHops),
                configuration -> Files.copy(nextHops.authority(), configuration.resolve("ca.pem"))));
    }

    private static String policy(NextHops nextHops) {
        return """
                <?xml version="1.0" encoding="UTF-8"?>
                <mailflow>
                  <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                  <outboundConnectors>
                    <outboundConnector name="plain" type="partner">
                      <recipientDomain>%s</recipientDomain>
                      <smartHost>127.0.0.1:%d</smartHost>
                      <tls level="none"/>
                    </outboundConnector>
                    <outboundConnector name="tls" type="partner">
                      <recipientDomain>%s</recipientDomain>
                      <smartHost>127.0.0.1:%d</smartHost>
                      <tls level="domain" name="%s" trustAnchors="file://conf/ca.pem"/>
                    </outboundConnector>
                  </outboundConnectors>
                </mailflow>
                """
                .formatted(
                        Transport.PLAIN.domain(),
                        nextHops.port(Transport.PLAIN),
                        Transport.STARTTLS.domain(),
                        nextHops.port(Transport.STARTTLS),
                        NextHops.TLS_NAME);
    }

    @Override
    public RelaySystem system() {
        return RelaySystem.GATEWAY;
    }

    @Override
    public int port() {
        return gateway.port();
    }

    @Override
    public String lastLog() {
        return gateway.process().lastLog();
    }
}
