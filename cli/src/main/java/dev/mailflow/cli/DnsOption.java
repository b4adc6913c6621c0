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

import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --dns HOST:PORT}, wherever a command asks the DNS. */
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
