/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.Username;
import org.apache.james.user.api.UsersRepository;
import org.apache.james.user.api.UsersRepositoryException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The mailbox of postmaster (RFC 5321 section 4.5.1) that a gateway without any user makes for itself, so that the first
 * mail has somewhere to go.
 *
 * @param address postmaster at the first local domain
 * @param passwordFile holds its password; named like the address
 */
public record FirstMailbox(String address, Path passwordFile) {
    private static final Logger LOGGER = LoggerFactory.getLogger(FirstMailbox.class);
    private static final String DIRECTORY = "first-mailbox";

    /** Makes the mailbox if there is no user at all; finds again the one an earlier start made. */
    static Optional<FirstMailbox> ensure(Path data, UsersRepository users, Optional<Domain> domain)
            throws IOException, UsersRepositoryException {
        Path directory = data.resolve(DIRECTORY);
        if (users.list().hasNext()) {
            return find(directory, users);
        }
        if (domain.isEmpty()) {
            LOGGER.warn("event=no-first-mailbox reason=\"mailflow.xml accepts no domain that can have mailboxes\"");
            return Optional.empty();
        }
        Username postmaster = Username.fromLocalPartWithDomain("postmaster", domain.get());
        SecretFile file = new SecretFile(directory.resolve(postmaster.asString()));
        // the file first: after a crash between the two, the next start takes the password from it
        users.addUser(postmaster, file.readOrCreatePassword());
        LOGGER.info("event=first-mailbox-created address={} password_file={}", postmaster.asString(), file);
        return Optional.of(new FirstMailbox(postmaster.asString(), file.path()));
    }

    private static Optional<FirstMailbox> find(Path directory, UsersRepository users)
            throws IOException, UsersRepositoryException {
        if (!Files.isDirectory(directory)) {
            return Optional.empty();
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "postmaster@*")) {
            for (Path file : files) {
                Username name = Username.of(file.getFileName().toString());
                if (users.contains(name)) {
                    return Optional.of(new FirstMailbox(name.asString(), file));
                }
            }
        }
        return Optional.empty();
    }
}
