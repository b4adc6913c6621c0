/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.repository;

import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

import javax.mail.MessagingException;

import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.mailrepository.api.MailKey;
import org.apache.james.mailrepository.api.MailRepository;
import org.apache.james.mailrepository.api.MailRepositoryUrl;
import org.apache.mailet.Mail;

import com.google.inject.Inject;

import dev.mailflow.gateway.storage.MailFile;

/**
 * A mail repository that is a directory with one {@link MailFile} for each mail, named by its key. James's own file
 * repository neither forces what it stores to disk nor keeps what it cannot read; here a mail that cannot be read stays
 * where it is for somebody to look at.
 */
public final class DirectoryMailRepository implements MailRepository {
    private static final String SUFFIX = ".mail";

    private final Path directory;

    @Inject
    public DirectoryMailRepository(FileSystem fileSystem, MailRepositoryUrl url) throws IOException {
        this(fileSystem.getFile("file://" + url.getPath().asString()).toPath());
    }

    DirectoryMailRepository(Path directory) throws IOException {
        this.directory = directory;
        MailFile.prepare(directory);
    }

    @Override
    public MailKey store(Mail mail) throws MessagingException {
        MailKey key = MailKey.forMail(mail);
        try {
            file(key).write(mail);
            return key;
        } catch (IOException e) {
            throw new MessagingException("Mail " + key.asString() + " could not be stored in " + directory, e);
        }
    }

    /** @return null, by James's contract, if there is no such mail */
    @Override
    public Mail retrieve(MailKey key) throws MessagingException {
        try {
            return file(key).read();
        } catch (NoSuchFileException e) {
            return null;
        } catch (IOException e) {
            throw new MessagingException(file(key).path() + " cannot be read and was left as it is", e);
        }
    }

    @Override
    public Iterator<MailKey> list() throws MessagingException {
        return keys().iterator();
    }

    @Override
    public long size() throws MessagingException {
        return keys().size();
    }

    private List<MailKey> keys() throws MessagingException {
        List<MailKey> keys = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*" + SUFFIX)) {
            files.forEach(file -> keys.add(key(file)));
            return keys;
        } catch (DirectoryIteratorException e) {
            throw new MessagingException("Directory " + directory + " cannot be listed", e.getCause());
        } catch (IOException e) {
            throw new MessagingException("Directory " + directory + " cannot be listed", e);
        }
    }

    @Override
    public void remove(MailKey key) throws MessagingException {
        try {
            Files.deleteIfExists(file(key).path());
        } catch (IOException e) {
            throw new MessagingException("Mail " + key.asString() + " could not be removed from " + directory, e);
        }
    }

    @Override
    public void removeAll() throws MessagingException {
        for (MailKey key : keys()) {
            remove(key);
        }
    }

    private MailFile file(MailKey key) {
        return new MailFile(directory.resolve(URLEncoder.encode(key.asString(), StandardCharsets.UTF_8) + SUFFIX));
    }

    private static MailKey key(Path file) {
        String name = file.getFileName().toString();
        return new MailKey(
                URLDecoder.decode(name.substring(0, name.length() - SUFFIX.length()), StandardCharsets.UTF_8));
    }
}
