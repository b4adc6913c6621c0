/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The files of one reading: each is read once, and remembered with the state it was in just before, whether it could
 * be read or not.
 */
final class ConfigurationFiles {
    /** A list of ten million addresses is smaller. */
    private static final long LARGEST = 512L * 1024 * 1024;

    private static final int VERSION_DIGITS = 12;

    private final Path conf;
    private final Map<Path, FileStamp> stamps = new LinkedHashMap<>();
    private final Map<Path, byte[]> contents = new HashMap<>();
    private final MessageDigest version = sha256();

    /** @param conf the configuration directory */
    ConfigurationFiles(Path conf) {
        this.conf = conf.toAbsolutePath().normalize();
    }

    Path locate(FileUrl url) {
        return url.in(conf);
    }

    Path conf() {
        return conf;
    }

    /** The file as the administrator knows it: relative to the configuration directory when it is in there. */
    String nameOf(Path file) {
        Path path = file.toAbsolutePath().normalize();
        return path.startsWith(conf) && !path.equals(conf)
                ? conf.relativize(path).toString()
                : path.toString();
    }

    /** @throws IOException with a message for administrators that says what is wrong, without the file's name */
    byte[] read(Path file) throws IOException {
        Path path = file.toAbsolutePath().normalize();
        byte[] known = contents.get(path);
        if (known != null) {
            return known;
        }
        // Taken first: a change while the file is read shows as a change afterwards.
        FileStamp stamp = FileStamp.of(path);
        stamps.putIfAbsent(path, stamp);
        byte[] content = load(path);
        contents.put(path, content);
        version.update(nameOf(path).getBytes(StandardCharsets.UTF_8));
        version.update((byte) 0);
        version.update(sha256().digest(content));
        return content;
    }

    private static byte[] load(Path path) throws IOException {
        try {
            if (Files.exists(path) && !Files.isRegularFile(path)) {
                throw new IOException("it is not a regular file");
            }
            if (Files.size(path) > LARGEST) {
                throw new IOException("it is larger than " + LARGEST / (1024 * 1024) + "M");
            }
            return Files.readAllBytes(path);
        } catch (NoSuchFileException e) {
            throw new IOException("there is no such file", e);
        } catch (AccessDeniedException e) {
            throw new IOException("permission to read it is denied", e);
        }
    }

    /** Every file asked for and the state it was in, in the order of reading. */
    Map<Path, FileStamp> stamps() {
        return stamps;
    }

    /** The digest of all names and contents read; ends the reading. */
    String version() {
        return HexFormat.of().formatHex(version.digest()).substring(0, VERSION_DIGITS);
    }

    static String digest(byte[] content) {
        return HexFormat.of().formatHex(sha256().digest(content));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
