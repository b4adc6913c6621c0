/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.database;

import java.io.FileNotFoundException;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import javax.annotation.PreDestroy;
import javax.persistence.EntityManagerFactory;
import javax.persistence.Persistence;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.utils.PropertiesProvider;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/**
 * The database of mailboxes, users and aliases: Derby inside this process and below the data directory, which forces
 * every commit to disk; or the server that {@code james-database.properties} names, with James's own keys.
 */
@Singleton
public final class Database {
    private static final Logger LOGGER = LoggerFactory.getLogger(Database.class);
    private static final String PERSISTENCE_UNIT = "mailflow";
    private static final String STORE = "file://var/store";
    private static final String CONFIGURATION = "james-database";

    /** Above the spooler's threads, so that local deliveries never wait for a connection. */
    private static final int CONNECTIONS = 40;

    /** Derby's answers to a shutdown that succeeded, and to one of a database that was never opened. */
    private static final Set<String> SHUT_DOWN = Set.of("08006", "XJ004");

    private final EntityManagerFactory entityManagerFactory;
    private final Optional<String> embeddedUrl;

    @Inject
    Database(FileSystem fileSystem, PropertiesProvider properties)
            throws FileNotFoundException, ConfigurationException {
        Optional<Configuration> configured = configuration(properties);
        Map<String, String> settings = new HashMap<>();
        if (configured.isPresent()) {
            embeddedUrl = Optional.empty();
            settings.putAll(external(configured.get()));
        } else {
            DerbyLog.install();
            Path directory = fileSystem.getFile(STORE).toPath();
            embeddedUrl = Optional.of("jdbc:derby:" + directory);
            settings.put("openjpa.ConnectionDriverName", "org.apache.derby.jdbc.EmbeddedDriver");
            settings.put("openjpa.ConnectionURL", embeddedUrl.get() + ";create=true");
            settings.put("openjpa.ConnectionProperties", "MaxTotal=" + CONNECTIONS);
        }
        settings.putIfAbsent("openjpa.Multithreaded", "true");
        entityManagerFactory = Persistence.createEntityManagerFactory(PERSISTENCE_UNIT, settings);
    }

    private static Optional<Configuration> configuration(PropertiesProvider properties) throws ConfigurationException {
        try {
            return Optional.of(properties.getConfiguration(CONFIGURATION));
        } catch (FileNotFoundException e) {
            return Optional.empty();
        }
    }

    private static Map<String, String> external(Configuration configuration) throws ConfigurationException {
        Map<String, String> settings = new HashMap<>();
        configuration.getKeys("openjpa").forEachRemaining(key -> settings.put(key, configuration.getString(key)));
        settings.put("openjpa.ConnectionDriverName", required(configuration, "database.driverClassName"));
        settings.put("openjpa.ConnectionURL", required(configuration, "database.url"));
        Optional.ofNullable(configuration.getString("database.username", null))
                .ifPresent(user -> settings.put("openjpa.ConnectionUserName", user));
        Optional.ofNullable(configuration.getString("database.password", null))
                .ifPresent(password -> settings.put("openjpa.ConnectionPassword", password));
        settings.putIfAbsent(
                "openjpa.ConnectionProperties",
                "TestOnBorrow=true,MaxTotal=" + configuration.getInt("datasource.maxTotal", CONNECTIONS));
        return settings;
    }

    private static String required(Configuration configuration, String key) throws ConfigurationException {
        return Optional.ofNullable(configuration.getString(key, null))
                .orElseThrow(() -> new ConfigurationException(CONFIGURATION + ".properties has no " + key
                        + "; give it, or remove the file to use the embedded database"));
    }

    EntityManagerFactory entityManagerFactory() {
        return entityManagerFactory;
    }

    @PreDestroy
    public void close() {
        entityManagerFactory.close();
        embeddedUrl.ifPresent(Database::shutDownEmbedded);
    }

    private static void shutDownEmbedded(String url) {
        try {
            DriverManager.getConnection(url + ";shutdown=true").close();
        } catch (SQLException e) {
            if (!SHUT_DOWN.contains(e.getSQLState())) {
                LOGGER.warn("event=database-shutdown-failed reason=\"{}\"", e.getMessage());
            }
        }
    }
}
