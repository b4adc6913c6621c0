/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.nio.file.Path;

import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.filesystem.api.JamesDirectoriesProvider;
import org.apache.james.server.core.configuration.Configuration;

/**
 * What James's file URLs mean here: {@code file://conf/} is the configuration directory itself, which is never written,
 * and {@code file://var/} and every other relative URL is below the data directory.
 *
 * @param conf absolute
 * @param data absolute
 */
record GatewayDirectories(Path conf, Path data) implements Configuration, JamesDirectoriesProvider {

    GatewayDirectories {
        conf = conf.toAbsolutePath().normalize();
        data = data.toAbsolutePath().normalize();
    }

    @Override
    public ConfigurationPath configurationPath() {
        return new ConfigurationPath(FileSystem.FILE_PROTOCOL_AND_CONF);
    }

    @Override
    public JamesDirectoriesProvider directories() {
        return this;
    }

    @Override
    public String getAbsoluteDirectory() {
        return "/";
    }

    @Override
    public String getConfDirectory() {
        return conf + "/";
    }

    @Override
    public String getVarDirectory() {
        return data + "/";
    }

    @Override
    public String getRootDirectory() {
        return data.toString();
    }
}
