/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.tls;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;

import org.apache.commons.configuration2.HierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.commons.configuration2.tree.ImmutableNode;
import org.apache.james.server.core.configuration.ConfigurationProvider;

/**
 * Makes the {@link SelfSignedCertificate} of the data directory when an enabled server names it as its private key, and
 * only then: an administrator with a certificate of his own never gets another.
 */
public final class ServerCertificate {
    /** The name of the key in {@code <tls>}. */
    public static final String PRIVATE_KEY = "file://var/tls/server.key";

    private ServerCertificate() {}

    /** Where the certificate is, if it was made. */
    public static Path certificate(Path data) {
        return data.resolve("tls").resolve("server.crt");
    }

    public static void createIfUsed(ConfigurationProvider configuration, Path data, Clock clock)
            throws ConfigurationException, IOException {
        for (String component : List.of("smtpserver", "imapserver", "lmtpserver")) {
            for (HierarchicalConfiguration<ImmutableNode> server :
                    configuration.getConfiguration(component).configurationsAt(component)) {
                if (server.getBoolean("[@enabled]", true)
                        && PRIVATE_KEY.equals(server.getString("tls.privateKey", ""))) {
                    new SelfSignedCertificate(data.resolve("tls").resolve("server.key"), certificate(data), clock)
                            .createIfAbsent();
                    return;
                }
            }
        }
    }
}
