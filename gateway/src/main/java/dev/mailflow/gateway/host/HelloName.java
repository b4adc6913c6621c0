/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.host;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;

import dev.mailflow.policy.host.OwnHostName;

/**
 * The name by which a server greets its clients: {@code <helloName autodetect="false">} of its configuration, else
 * {@link OwnHostName}. James asks the system instead, once for each server, even for a name that is configured.
 */
public final class HelloName {
    private static final String ELEMENT = "helloName";

    private HelloName() {}

    /**
     * The name of one server.
     *
     * @param server its element
     * @throws ConfigurationException if the system is not to be asked and no name is configured
     */
    public static String of(Configuration server) throws ConfigurationException {
        if (server.getBoolean(ELEMENT + ".[@autodetect]", true)) {
            return OwnHostName.get();
        }
        String configured = server.getString(ELEMENT, "").strip();
        if (configured.isEmpty()) {
            throw new ConfigurationException(
                    "<helloName autodetect=\"false\">: found no name, expected one; without the attribute it is "
                            + OwnHostName.get());
        }
        return configured;
    }
}
