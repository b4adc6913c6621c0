/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.commons.configuration2.tree.ImmutableNode;
import org.apache.james.server.core.configuration.ConfigurationProvider;
import org.apache.james.utils.PropertiesProvider;

/**
 * The addresses the configuration asks for, looked at before anything starts: James would come up half and then fail
 * without saying which address it was.
 *
 * @param servers every enabled server, in the order of the files
 */
record Listeners(List<Server> servers) {
    private static final int WEBADMIN_DEFAULT_PORT = 8080;
    private static final Pattern ADDRESS = Pattern.compile("(?<host>[^:\\s]+):(?<port>\\d{1,5})");
    private static final int MAX_PORT = 65_535;

    /**
     * One server of a configuration file.
     *
     * @param file the file it stands in
     * @param setting what an administrator would change there
     */
    record Server(String file, String setting, List<InetSocketAddress> addresses) {}

    static Listeners configured(ConfigurationProvider configuration, PropertiesProvider properties)
            throws GatewayStartException {
        List<Server> servers = new ArrayList<>();
        try {
            for (String component : List.of("smtpserver", "imapserver", "lmtpserver")) {
                for (HierarchicalConfiguration<ImmutableNode> server :
                        configuration.getConfiguration(component).configurationsAt(component)) {
                    if (server.getBoolean("[@enabled]", true) && server.containsKey("bind")) {
                        servers.add(server(component + ".xml", server));
                    }
                }
            }
            Configuration webadmin = properties.getConfiguration("webadmin");
            if (webadmin.getBoolean("enabled", false)) {
                servers.add(new Server(
                        "webadmin.properties",
                        "port",
                        List.of(new InetSocketAddress(
                                webadmin.getString("host", "localhost"),
                                webadmin.getInt("port", WEBADMIN_DEFAULT_PORT)))));
            }
        } catch (FileNotFoundException e) {
            // no webadmin.properties: webadmin is off
            return new Listeners(List.copyOf(servers));
        } catch (ConfigurationException e) {
            throw new GatewayStartException("A server's configuration cannot be read: " + e.getMessage(), e);
        }
        return new Listeners(List.copyOf(servers));
    }

    private static Server server(String file, HierarchicalConfiguration<ImmutableNode> server)
            throws GatewayStartException {
        List<InetSocketAddress> addresses = new ArrayList<>();
        for (String bind : server.getString("bind").split(",")) {
            addresses.add(address(file, bind.trim()));
        }
        return new Server(
                file, "<bind> of the server '" + server.getString("jmxName", "") + "'", List.copyOf(addresses));
    }

    private static InetSocketAddress address(String file, String bind) throws GatewayStartException {
        var parts = ADDRESS.matcher(bind);
        if (!parts.matches() || Integer.parseInt(parts.group("port")) > MAX_PORT) {
            throw new GatewayStartException(file + ": <bind> is '" + bind
                    + "'; expected address:port with an IPv4 address or a host name, such as 127.0.0.1:2525");
        }
        try {
            return new InetSocketAddress(
                    InetAddress.getByName(parts.group("host")), Integer.parseInt(parts.group("port")));
        } catch (UnknownHostException e) {
            throw new GatewayStartException(
                    file + ": <bind> is '" + bind + "', but this host knows no address " + parts.group("host"), e);
        }
    }

    /** Fails with all the addresses that cannot be listened on. */
    void requireFree() throws GatewayStartException {
        List<String> taken = new ArrayList<>();
        for (Server server : servers) {
            for (InetSocketAddress address : server.addresses()) {
                try (ServerSocket probe = new ServerSocket()) {
                    probe.setReuseAddress(true);
                    probe.bind(address);
                } catch (IOException e) {
                    taken.add("  " + address.getAddress().getHostAddress() + " port " + address.getPort() + ": "
                            + e.getMessage() + " (" + server.file() + ", " + server.setting() + ")");
                }
            }
        }
        if (!taken.isEmpty()) {
            throw new GatewayStartException("Cannot listen on\n" + String.join("\n", taken)
                    + "\nStop what listens there, or choose another port in the file named.");
        }
    }
}
