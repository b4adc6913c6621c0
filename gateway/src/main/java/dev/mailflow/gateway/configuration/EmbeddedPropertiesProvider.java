/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.configuration;

import java.io.FileNotFoundException;
import java.util.List;

import org.apache.commons.configuration2.BaseConfiguration;
import org.apache.commons.configuration2.CompositeConfiguration;
import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.server.core.configuration.Configuration.ConfigurationPath;
import org.apache.james.utils.PropertiesProvider;

/** James's properties files, with webadmin on a port of the system's choice. */
public final class EmbeddedPropertiesProvider extends PropertiesProvider {
    public EmbeddedPropertiesProvider(FileSystem fileSystem, ConfigurationPath path) {
        super(fileSystem, path);
    }

    @Override
    public Configuration getConfiguration(String name) throws FileNotFoundException, ConfigurationException {
        Configuration file = super.getConfiguration(name);
        if (!name.equals("webadmin")) {
            return file;
        }
        BaseConfiguration port = new BaseConfiguration();
        port.setProperty("port", 0);
        return new CompositeConfiguration(List.of(port, file));
    }
}
