/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Optional;
import java.util.Set;

import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

import org.apache.james.filesystem.api.FileSystem;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/**
 * The mark that a journaled message carries out of the gateway and, from a scrubber or the cloud, in again, so that it is
 * not journaled twice. It binds the journal mailbox, the Message-ID and the Date of the message under a key that only this
 * installation has: nobody can write one for a message of his own in order to escape the journal. It expires, for what can be
 * believed for ever can be used again for ever.
 *
 * <p>The key is made on first use, in {@code file://var/journal.key}, readable by the server alone. Servers that share mail
 * must share the file.
 */
@Singleton
final class JournalMarks {
    static final String HEADER = "X-Mailflow-Journaled";

    private static final String ALGORITHM = "HmacSHA256";
    private static final int KEY_BYTES = 32;
    /** Longer than any queue keeps a mail. */
    private static final Duration LIFETIME = Duration.ofDays(7);

    private static final Duration CLOCKS_DIFFER = Duration.ofMinutes(10);
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rw-------");

    private final FileSystem files;
    private Optional<SecretKeySpec> key = Optional.empty();

    @Inject
    JournalMarks(FileSystem files) {
        this.files = files;
    }

    /** What identifies a message to its mark. */
    record Message(String journalMailbox, String messageId, String date) {}

    /** @throws IOException when the key cannot be read or made */
    String mark(Message message, Instant now) throws IOException {
        String time = String.valueOf(now.getEpochSecond());
        return "t=" + time + "; m=" + code(message, time);
    }

    /** Whether the value of a header is a mark that this installation wrote for this message. */
    boolean isOf(Message message, String value, Instant now) throws IOException {
        String[] parts = value.trim().split(";\\s*", -1);
        if (parts.length != 2 || !parts[0].matches("t=[0-9]{1,12}") || !parts[1].startsWith("m=")) {
            return false;
        }
        String time = parts[0].substring(2);
        Instant written = Instant.ofEpochSecond(Long.parseLong(time));
        boolean current = written.isBefore(now.plus(CLOCKS_DIFFER)) && written.isAfter(now.minus(LIFETIME));
        return current
                && MessageDigest.isEqual(
                        code(message, time).getBytes(StandardCharsets.US_ASCII),
                        parts[1].substring(2).getBytes(StandardCharsets.US_ASCII));
    }

    private String code(Message message, String time) throws IOException {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(key());
            for (String part : new String[] {message.journalMailbox(), message.messageId(), message.date(), time}) {
                mac.update(part.getBytes(StandardCharsets.UTF_8));
                mac.update((byte) 0);
            }
            return Base64.getUrlEncoder().withoutPadding().encodeToString(mac.doFinal());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every JDK has " + ALGORITHM, e);
        }
    }

    private synchronized SecretKeySpec key() throws IOException {
        if (key.isEmpty()) {
            key = Optional.of(new SecretKeySpec(
                    load(files.getFile("file://var/journal.key").toPath()), ALGORITHM));
        }
        return key.get();
    }

    private static byte[] load(Path file) throws IOException {
        if (Files.notExists(file)) {
            byte[] fresh = new byte[KEY_BYTES];
            new SecureRandom().nextBytes(fresh);
            Files.createDirectories(file.toAbsolutePath().getParent());
            try {
                Files.createFile(file, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
                Files.write(file, Base64.getEncoder().encode(fresh));
            } catch (FileAlreadyExistsException e) {
                // another server was faster; its key is as good
                return load(file);
            }
        }
        try {
            byte[] known = Base64.getDecoder().decode(Files.readString(file).trim());
            if (known.length == KEY_BYTES) {
                return known;
            }
        } catch (IllegalArgumentException e) {
            throw new IOException(wrong(file), e);
        }
        throw new IOException(wrong(file));
    }

    private static String wrong(Path file) {
        return file + ": found no key, expected " + KEY_BYTES
                + " bytes in base64; remove the file to have a new one made";
    }
}
