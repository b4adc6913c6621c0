/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Clock;
import java.util.Map;
import java.util.concurrent.Callable;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.xml.XmlSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid remove}: back to one premises. */
@Command(
        name = "remove",
        description = {
            "Takes the hybrid section and its two connectors out of mailflow.xml, which a running gateway takes up"
                    + " within two seconds. Accepted domains, certificates and James's own files stay."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:removed, or there was none",
            "1:refused or not confirmed; nothing was changed",
            "2:wrong usage"
        })
final class HybridRemoveCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;
    private final BufferedReader in;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Option(names = "--yes", description = "do not ask once more")
    private boolean yes;

    @Option(names = "--dry-run", description = "show what would change, write nothing")
    private boolean dryRun;

    HybridRemoveCommand(Map<String, String> environment, Clock clock, BufferedReader in) {
        this.environment = environment;
        this.clock = clock;
        this.in = in;
    }

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        try {
            HybridConfiguration configuration = HybridConfiguration.in(policy.existingDirectory());
            configuration.pieces().remove();
            configuration.planPolicy();
            if (!configuration.changes().isEmpty() && !yes && !dryRun) {
                out.print(configuration.changes().diff());
                out.println("Mail for mailboxes in the cloud will no longer find its way there from here.");
                if (!new Questions(in, out, true, spec.commandLine()).confirm("Remove this?")) {
                    out.println("Nothing was changed.");
                    out.flush();
                    return Mailflow.NO;
                }
            }
            return HybridSetCommand.carryOut(spec, configuration, environment, clock, dryRun);
        } catch (XmlSyntaxException e) {
            err.println("mailflow: " + e.getMessage());
            err.flush();
            return Mailflow.NO;
        }
    }
}
