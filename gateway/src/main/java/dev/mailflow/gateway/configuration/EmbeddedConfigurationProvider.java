/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.configuration;

import java.util.List;
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
            configuration.configurationsAt(component, true).forEach(server -> adapt(server, component));
        }
        if (component.equals("mailetcontainer") && !mbeanSuffix.isEmpty()) {
            List<HierarchicalConfiguration<ImmutableNode>> processors =
                    configuration.configurationsAt("processors.processor", true);
            processors.forEach(processor -> processor.setProperty("[@enableJmx]", "false"));
        }
        return configuration;
    }

    private void adapt(HierarchicalConfiguration<ImmutableNode> server, String component) {
        if (!mbeanSuffix.isEmpty()) {
            server.setProperty("jmxName", server.getString("jmxName", component) + mbeanSuffix);
        }
        if (ephemeralPorts && server.containsKey("bind")) {
            server.setProperty("bind", server.getString("bind").replaceAll(":\\d+", ":0"));
        }
    }
}
