/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

import dev.mailflow.gateway.GatewayStartException;

/** The queues of versions of the gateway that kept them in a KahaDB, which this one cannot read. */
final class EarlierQueues {
    private static final String FILES = "{db-*.log,db.data,db.redo}";

    private EarlierQueues() {}

    /** Mail in there must not be forgotten silently, so the gateway does not start beside it. */
    static void requireNone(Path directory) throws IOException, GatewayStartException {
        if (!Files.isDirectory(directory)) {
            return;
        }
        try (DirectoryStream<Path> found = Files.newDirectoryStream(directory, FILES)) {
            if (found.iterator().hasNext()) {
                throw new GatewayStartException("The directory " + directory
                        + " holds the mail queues of an earlier version of the gateway (KahaDB), which this version cannot"
                        + " read. Start the earlier version without its SMTP ports, let it deliver what is queued and stop"
                        + " it; then, or to give up the mail in there, move " + directory + " away and start again");
            }
        }
    }
}
