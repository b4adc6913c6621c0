/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Our gateway: durable queue, TLS of level {@code domain}, which verifies the next hop's certificate and name. */
final class GatewayRelay implements Relay {
    private final Forked process;
    private final int port;

    private GatewayRelay(Forked process, int port) {
        this.process = process;
        this.port = port;
    }

    static GatewayRelay start(Workbench workbench, NextHops nextHops) {
        Path app = workbench.project().resolve("gateway/target/app");
        if (!Files.isDirectory(app.resolve("lib"))) {
            throw new BenchmarkFailure("found no " + app + "/lib; bin/bench builds it");
        }
        Path directory = workbench.directory(RelaySystem.GATEWAY.label());
        GatewayConfiguration configuration = GatewayConfiguration.write(
                workbench.project().resolve("james-conf"), directory.resolve("conf"), policy(nextHops));
        try {
            Files.copy(nextHops.authority(), configuration.directory().resolve("ca.pem"));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot copy " + nextHops.authority(), e);
        }
        Forked process = workbench.add(Forked.startJava(
                RelaySystem.GATEWAY.label(),
                directory,
                List.of(),
                app + "/*:" + app + "/lib/*",
                "dev.mailflow.gateway.GatewayMain",
                List.of(
                        "--conf",
                        configuration.directory().toString(),
                        "--data",
                        directory.resolve("data").toString())));
        process.awaitGreeting(configuration.smtpPort());
        return new GatewayRelay(process, configuration.smtpPort());
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
        return port;
    }

    @Override
    public String lastLog() {
        return process.lastLog();
    }
}
