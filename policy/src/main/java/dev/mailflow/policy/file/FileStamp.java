/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Optional;

/**
 * What tells one state of a file from another without relying on the file system's notifications, which network file
 * systems and container volumes do not deliver. Symbolic links are followed, so that the swap of a link to a directory
 * (as Kubernetes updates volumes) is a change. The content of small files counts too: an editor can keep size and
 * modification time.
 *
 * @param inode empty on file systems without such
 * @param content digest; empty for large, unreadable and absent files
 */
record FileStamp(boolean readable, long size, FileTime modified, Optional<String> inode, Optional<String> content) {
    private static final long SMALL = 64 * 1024;
    private static final FileStamp ABSENT =
            new FileStamp(false, -1, FileTime.fromMillis(0), Optional.empty(), Optional.empty());

    static FileStamp of(Path file) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
            return new FileStamp(
                    Files.isReadable(file),
                    attributes.size(),
                    attributes.lastModifiedTime(),
                    Optional.ofNullable(attributes.fileKey()).map(Object::toString),
                    contentOf(file, attributes));
        } catch (IOException e) {
            return ABSENT;
        }
    }

    private static Optional<String> contentOf(Path file, BasicFileAttributes attributes) {
        if (!attributes.isRegularFile() || attributes.size() > SMALL) {
            return Optional.empty();
        }
        try {
            return Optional.of(ConfigurationFiles.digest(Files.readAllBytes(file)));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
