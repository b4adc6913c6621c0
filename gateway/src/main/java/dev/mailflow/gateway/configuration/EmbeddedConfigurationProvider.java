/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.configuration;

import java.util.Set;

import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.commons.configuration2.tree.ImmutableNode;
import org.apache.james.server.core.configuration.ConfigurationProvider;
import org.apache.james.util.LoggingLevel;

/**
 * James's XML configuration, changed where a second gateway in the same process, or one on ports of the system's
 * choice, needs it: MBean names are unique in a process, and so are ports on a machine.
 */
public final class EmbeddedConfigurationProvider implements ConfigurationProvider {
    private static final Set<String> SERVERS = Set.of("smtpserver", "imapserver", "lmtpserver");

    private final ConfigurationProvider files;
    private final String mbeanSuffix;
    private final boolean ephemeralPorts;

    /**
     * @param mbeanSuffix appended to every server's {@code jmxName}; with an empty one MBeans stay as configured
     * @param ephemeralPorts whether every port becomes 0, for one of the system's choice
     */
    public EmbeddedConfigurationProvider(ConfigurationProvider files, String mbeanSuffix, boolean ephemeralPorts) {
        this.files = files;
        this.mbeanSuffix = mbeanSuffix;
        this.ephemeralPorts = ephemeralPorts;
    }

    @Override
    public HierarchicalConfiguration<ImmutableNode> getConfiguration(String component, LoggingLevel level)
            throws ConfigurationException {
        HierarchicalConfiguration<ImmutableNode> configuration = files.getConfiguration(component, level);
        if (SERVERS.contains(component)) {
            int servers = configuration.configurationsAt(component).size();
            for (int i = 0; i < servers; i++) {
                adapt(configuration, component, component + "(" + i + ").");
            }
        }
        if (component.equals("mailetcontainer") && !mbeanSuffix.isEmpty()) {
            int processors =
                    configuration.configurationsAt("processors.processor").size();
            configuration.setProperty("processors[@enableJmx]", "false");
            for (int i = 0; i < processors; i++) {
                configuration.setProperty("processors.processor(" + i + ")[@enableJmx]", "false");
            }
        }
        return configuration;
    }

    private void adapt(HierarchicalConfiguration<ImmutableNode> configuration, String component, String server) {
        if (!mbeanSuffix.isEmpty()) {
            configuration.setProperty(
                    server + "jmxName", configuration.getString(server + "jmxName", component) + mbeanSuffix);
        }
        if (ephemeralPorts && configuration.containsKey(server + "bind")) {
            String bind = configuration.getString(server + "bind");
            configuration.setProperty(server + "bind", bind.replaceAll(":\\d+", ":0"));
        }
    }
}
