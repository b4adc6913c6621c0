/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

import javax.mail.MessagingException;
import javax.mail.internet.MimeMessage;

import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStream;
import org.apache.james.server.core.MimeMessageSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Mail;

/**
 * A mail in a file: a line of JSON with the envelope, then the message as it is. A write is on disk when it returns,
 * whole or not at all: it happens beside its place, is forced and renamed, and the directory is forced too.
 *
 * @param path where the mail is or will be
 */
public record MailFile(Path path) {
    private static final String UNFINISHED = ".tmp";
    private static final int MAX_ENVELOPE_BYTES = 64 * 1024 * 1024;

    /** Creates a directory for mail files if it is missing, and removes what a crash left half written in it. */
    public static void prepare(Path directory) throws IOException {
        Files.createDirectories(directory);
        try (DirectoryStream<Path> unfinished = Files.newDirectoryStream(directory, "*" + UNFINISHED)) {
            for (Path file : unfinished) {
                Files.delete(file);
            }
        }
    }

    /** Writes the mail, in place of what was there. */
    public void write(Mail mail) throws IOException, MessagingException {
        Path directory = path.toAbsolutePath().getParent();
        Path unfinished = directory.resolve(UUID.randomUUID() + UNFINISHED);
        try {
            writeTo(unfinished, mail);
            Files.move(unfinished, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
                channel.force(true);
            }
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }

    private static void writeTo(Path file, Mail mail) throws IOException, MessagingException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel));
            out.write(StoredMail.of(mail).toJson());
            out.write('\n');
            MimeMessage message = mail.getMessage();
            if (message != null) {
                // not writeTo(): that one reads the header anew and turns its 8-bit characters into question marks
                try (InputStream in = new MimeMessageInputStream(message)) {
                    in.transferTo(out);
                }
            }
            out.flush();
            channel.force(true);
        }
    }

    /**
     * Reads the mail. Its content is read from the file when it is asked for.
     *
     * @throws java.nio.file.NoSuchFileException if there is no such file
     * @throws IOException also if the file is no mail
     */
    public Mail read() throws IOException, MessagingException {
        try (InputStream in = new BufferedInputStream(Files.newInputStream(path))) {
            MailImpl mail = StoredMail.fromJson(envelope(in)).toMail();
            mail.setMessageNoCopy(new MimeMessageWrapper(new Content(this)));
            return mail;
        }
    }

    /** Reads the first line and leaves the stream behind it. */
    private byte[] envelope(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int octet = in.read(); octet != '\n'; octet = in.read()) {
            if (octet < 0 || line.size() > MAX_ENVELOPE_BYTES) {
                throw new EOFException(path + " does not begin with a line of JSON");
            }
            line.write(octet);
        }
        return line.toByteArray();
    }

    private record Content(MailFile file) implements MimeMessageSource {
        @Override
        public String getSourceId() {
            return file.path().toString();
        }

        @Override
        public InputStream getInputStream() throws IOException {
            InputStream in = new BufferedInputStream(Files.newInputStream(file.path()));
            try {
                file.envelope(in);
                return in;
            } catch (IOException e) {
                in.close();
                throw e;
            }
        }
    }
}
