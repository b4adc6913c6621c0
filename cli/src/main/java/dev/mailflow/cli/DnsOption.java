/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

import org.xbill.DNS.ExtendedResolver;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.SimpleResolver;

import dev.mailflow.delivery.DeliveryConfig.Dnssec;
import dev.mailflow.delivery.nexthop.NameServers;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --dns} and {@code --trusted-resolver}, wherever a command asks the DNS as delivery does. */
public final class DnsOption {
    private static final Duration PATIENCE = Duration.ofSeconds(5);
    private static final int DNS_PORT = 53;

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--dns",
            paramLabel = "HOST[:PORT]",
            description = "the name server to ask (default: those of this host)")
    private Optional<String> server = Optional.empty();

    @Option(
            names = "--trusted-resolver",
            paramLabel = "HOST[:PORT]",
            description = "address of a resolver that validates DNSSEC and is believed, for DANE (default: what the"
                    + " mailet RouteToConnector in DIR/mailetcontainer.xml says; with --dns: none)")
    private Optional<String> trustedResolver = Optional.empty();

    /** Who tells what DNSSEC vouches for: as delivery has it, unless somebody else is to be asked. */
    public Dnssec dnssec(Optional<DeliverySettings> delivery) {
        if (trustedResolver.isPresent()) {
            return new Dnssec.TrustedResolver(NameServers.address(trustedResolver.get())
                    .orElseThrow(() -> usage("--trusted-resolver: found '" + trustedResolver.get()
                            + "', expected an address or address:port, IPv6 in brackets")));
        }
        if (server.isPresent()) {
            return new Dnssec.Unknown();
        }
        try {
            return delivery.map(DeliverySettings::dnssec).orElseGet(Dnssec.Unknown::new);
        } catch (IllegalArgumentException e) {
            throw usage("mailetcontainer.xml, mailet RouteToConnector: " + e.getMessage());
        }
    }

    private CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }

    /** The resolver asked for; empty: the system's. */
    public Optional<Resolver> resolver() {
        return server.map(text -> {
            int colon = text.lastIndexOf(':');
            boolean portGiven = colon > 0 && (text.indexOf(':') == colon || text.charAt(colon - 1) == ']');
            String host = (portGiven ? text.substring(0, colon) : text).replaceAll("^\\[|]$", "");
            try {
                int port = portGiven ? Integer.parseInt(text.substring(colon + 1)) : DNS_PORT;
                // a resolver over one server asks again when a datagram is lost
                SimpleResolver simple = new SimpleResolver(new InetSocketAddress(host, port));
                simple.setTimeout(PATIENCE);
                if (simple.getAddress().isUnresolved()) {
                    throw new UnknownHostException(host);
                }
                return new ExtendedResolver(List.of(simple));
            } catch (IllegalArgumentException | UnknownHostException e) {
                throw new CommandLine.ParameterException(
                        spec.commandLine(),
                        "--dns: found '" + text + "', expected the address of a name server, with or without a port"
                                + " (192.0.2.53, 127.0.0.1:5353)",
                        e);
            }
        });
    }
}
