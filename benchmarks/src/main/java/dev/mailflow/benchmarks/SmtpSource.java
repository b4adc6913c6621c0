/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.util.ArrayList;
import java.util.List;

/**
 * How Postfix's {@code smtp-source} sends a load. It fails on any reply that is not positive.
 *
 * @param options of {@code smtp-source}, besides those of the load
 */
record SmtpSource(Load load, String sender, String recipient, List<String> options) {

    SmtpSource {
        options = List.copyOf(options);
    }

    /** Starts sending to a port of loopback. */
    Forked start(Workbench workbench, int port) {
        List<String> command = new ArrayList<>(List.of(DebianTool.SMTP_SOURCE.path()));
        command.addAll(options);
        command.addAll(List.of(
                "-s",
                String.valueOf(load.senders()),
                "-m",
                String.valueOf(load.messages()),
                "-l",
                String.valueOf(load.size()),
                "-f",
                sender,
                "-t",
                recipient,
                "127.0.0.1:" + port));
        return workbench.add(Forked.start("smtp-source", workbench.directory(), command));
    }
}
