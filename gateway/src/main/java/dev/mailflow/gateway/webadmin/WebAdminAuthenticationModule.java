/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.webadmin;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Optional;

import javax.inject.Named;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.jwt.JwtTokenVerifier;
import org.apache.james.utils.PropertiesProvider;
import org.apache.james.webadmin.authentication.AuthenticationFilter;
import org.apache.james.webadmin.authentication.JwtFilter;
import org.apache.james.webadmin.authentication.NoAuthenticationFilter;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import com.google.inject.Singleton;

import dev.mailflow.gateway.SecretFile;

/**
 * How webadmin knows its administrator, from {@code webadmin.properties}: {@code jwt.enabled=true} with
 * {@code jwt.publickeypem.url}, as in James; otherwise {@code password.file}, made with a random password on first
 * start; without either, everyone who reaches the port is the administrator.
 */
public final class WebAdminAuthenticationModule extends AbstractModule {
    @Provides
    @Singleton
    AuthenticationFilter filter(
            PropertiesProvider properties, FileSystem fileSystem, @Named("webadmin") JwtTokenVerifier.Factory verifiers)
            throws ConfigurationException, IOException {
        Configuration webadmin;
        try {
            webadmin = properties.getConfiguration("webadmin");
        } catch (FileNotFoundException e) {
            return new NoAuthenticationFilter();
        }
        if (webadmin.getBoolean("jwt.enabled", false)) {
            return new JwtFilter(verifiers);
        }
        Optional<SecretFile> file = passwordFile(webadmin, fileSystem);
        return file.isPresent() ? new PasswordFilter(file.get().readOrCreatePassword()) : new NoAuthenticationFilter();
    }

    private static Optional<SecretFile> passwordFile(Configuration webadmin, FileSystem fileSystem)
            throws FileNotFoundException {
        String url = webadmin.getString("password.file", "");
        return url.isBlank()
                ? Optional.empty()
                : Optional.of(new SecretFile(fileSystem.getFile(url).toPath()));
    }
}
