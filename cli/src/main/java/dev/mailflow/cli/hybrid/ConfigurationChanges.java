/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

import com.github.difflib.DiffUtils;
import com.github.difflib.UnifiedDiffUtils;

import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.file.PolicyReading;

/**
 * New contents for files of a configuration directory, made together or not at all: shown first, tried against the
 * policy reader in a directory of their own, then put in place file by file, each by a rename, with what was there kept
 * beside it. {@code mailflow.xml} goes last, because a running gateway reads it at once and what it names must be there.
 */
final class ConfigurationChanges {
    /** The file that a running gateway watches. */
    static final String POLICY = "mailflow.xml";

    private static final int CONTEXT_LINES = 3;
    private static final Set<PosixFilePermission> SECRET = PosixFilePermissions.fromString("rw-------");
    private static final Set<PosixFilePermission> PUBLIC = PosixFilePermissions.fromString("rw-r--r--");
    private static final DateTimeFormatter BACKUP =
            DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

    private final Path conf;
    private final Map<String, Change> changes = new LinkedHashMap<>();

    @SuppressWarnings("ArrayRecordComponent") // never compared, never handed out
    private record Change(Optional<byte[]> before, byte[] after, boolean secret) {}

    ConfigurationChanges(Path conf) {
        this.conf = conf.toAbsolutePath().normalize();
    }

    Path conf() {
        return conf;
    }

    /** The content of a file as it will be; empty when there is none. */
    Optional<byte[]> content(String name) throws IOException {
        Change change = changes.get(name);
        if (change != null) {
            return Optional.of(change.after());
        }
        Path file = conf.resolve(name);
        return Files.exists(file) ? Optional.of(Files.readAllBytes(file)) : Optional.empty();
    }

    /** Plans a file that anybody may read. */
    void put(String name, byte[] content) throws IOException {
        plan(name, content, false);
    }

    /** Plans a file that only its owner may read, and that is never shown. */
    void putSecret(String name, byte[] content) throws IOException {
        plan(name, content, true);
    }

    private void plan(String name, byte[] content, boolean secret) throws IOException {
        Path file = conf.resolve(name);
        Optional<byte[]> before = Files.exists(file) ? Optional.of(Files.readAllBytes(file)) : Optional.empty();
        if (before.isPresent() && Arrays.equals(before.get(), content)) {
            changes.remove(name);
        } else {
            changes.put(name, new Change(before, content, secret));
        }
    }

    boolean isEmpty() {
        return changes.isEmpty();
    }

    /** The files that will be written, in the order of the writing. */
    List<String> files() {
        List<String> names = new ArrayList<>(changes.keySet());
        names.sort(Comparator.comparing((String name) -> name.equals(POLICY))
                .thenComparing(name -> !changes.get(name).before().isEmpty()));
        return names;
    }

    /** What will change, as a unified diff; of secrets only that they do. */
    String diff() {
        StringBuilder text = new StringBuilder();
        for (String name : files()) {
            Change change = changes.get(name);
            if (change.secret()) {
                text.append("+++ ")
                        .append(name)
                        .append(" (secret, mode 0600, ")
                        .append(change.before().isEmpty() ? "new" : "replaced")
                        .append(")\n");
                continue;
            }
            List<String> before =
                    change.before().map(ConfigurationChanges::lines).orElse(List.of());
            List<String> after = lines(change.after());
            UnifiedDiffUtils.generateUnifiedDiff(
                            change.before().isEmpty() ? "/dev/null" : name,
                            name,
                            before,
                            DiffUtils.diff(before, after),
                            CONTEXT_LINES)
                    .forEach(line -> text.append(line).append('\n'));
        }
        return text.toString();
    }

    private static List<String> lines(byte[] content) {
        return new String(content, StandardCharsets.UTF_8).lines().toList();
    }

    /** Reads the policy as it would be, in a directory of its own; the configuration directory is not touched. */
    PolicyReading tryOut(Map<String, String> environment, Clock clock) throws IOException {
        Path stage = Files.createTempDirectory("mailflow-plan-", directoryForOwner());
        try {
            link(conf, stage);
            for (Map.Entry<String, Change> change : changes.entrySet()) {
                Path file = stage.resolve(change.getKey());
                Files.createDirectories(file.getParent());
                Files.deleteIfExists(file);
                Files.createFile(file, fileForOwner());
                Files.write(file, change.getValue().after());
            }
            return MailFlowXmlReader.read(stage.resolve(POLICY), stage, environment, clock);
        } finally {
            try (Stream<Path> all = Files.walk(stage)) {
                for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(each);
                }
            }
        }
    }

    /** Real directories and links to files, so that files of any size cost nothing. */
    private static void link(Path from, Path to) throws IOException {
        try (Stream<Path> entries = Files.list(from)) {
            for (Path entry : entries.toList()) {
                Path target = to.resolve(entry.getFileName().toString());
                if (Files.isDirectory(entry)) {
                    Files.createDirectory(target);
                    link(entry, target);
                } else {
                    Files.createSymbolicLink(target, entry);
                }
            }
        }
    }

    /**
     * Writes all files. When one cannot be written, those that were are put back.
     *
     * @return the copies of what was replaced
     */
    List<Path> apply(Clock clock) throws IOException {
        String suffix = "." + BACKUP.format(clock.instant()) + ".bak";
        List<Path> backups = new ArrayList<>();
        Deque<String> written = new ArrayDeque<>();
        try {
            for (String name : files()) {
                Path file = conf.resolve(name);
                // the file that a link leads to is replaced, not the link
                Path real = Files.exists(file) ? file.toRealPath() : file;
                if (Files.exists(real)) {
                    Path backup = real.resolveSibling(real.getFileName() + suffix);
                    Files.copy(real, backup, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.COPY_ATTRIBUTES);
                    backups.add(backup);
                }
                replace(real, changes.get(name).after(), changes.get(name).secret());
                written.push(name);
            }
            return backups;
        } catch (IOException e) {
            for (String name : written) {
                undo(name, e);
            }
            throw new IOException("nothing was changed, because a file could not be written: " + e, e);
        }
    }

    private void undo(String name, IOException cause) {
        Change change = changes.get(name);
        try {
            Path file = conf.resolve(name);
            if (change.before().isPresent()) {
                replace(file.toRealPath(), change.before().get(), change.secret());
            } else {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            cause.addSuppressed(new IOException("and " + name + " could not be put back", e));
        }
    }

    private static void replace(Path file, byte[] content, boolean secret) throws IOException {
        Files.createDirectories(file.getParent());
        Path temporary = Files.createTempFile(file.getParent(), "." + file.getFileName(), ".new", fileForOwner());
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                ByteBuffer bytes = ByteBuffer.wrap(content);
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            keepAttributes(file, temporary, secret);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** Owner, group and permissions of the file that is replaced; a secret is for its owner alone, whatever was. */
    private static void keepAttributes(Path file, Path temporary, boolean secret) throws IOException {
        PosixFileAttributeView view = Files.getFileAttributeView(temporary, PosixFileAttributeView.class);
        if (view == null) {
            return;
        }
        // a new file belongs to whom the directory does: the server reads it, even when root makes it
        boolean exists = Files.exists(file);
        PosixFileAttributes model = Files.readAttributes(exists ? file : file.getParent(), PosixFileAttributes.class);
        PosixFileAttributes now = view.readAttributes();
        if (!now.group().equals(model.group())) {
            view.setGroup(model.group());
        }
        if (!now.owner().equals(model.owner())) {
            view.setOwner(model.owner());
        }
        view.setPermissions(secret ? SECRET : exists ? model.permissions() : PUBLIC);
    }

    private static FileAttribute<?>[] fileForOwner() {
        return forOwner("rw-------");
    }

    private static FileAttribute<?>[] directoryForOwner() {
        return forOwner("rwx------");
    }

    private static FileAttribute<?>[] forOwner(String permissions) {
        return Path.of("").getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
                }
                : new FileAttribute<?>[0];
    }
}
