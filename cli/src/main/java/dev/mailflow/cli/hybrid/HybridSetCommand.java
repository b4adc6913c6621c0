/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.io.PrintWriter;
import java.time.Clock;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.hybrid.HybridPlan.Mx;
import dev.mailflow.cli.xml.XmlSyntaxException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid set}: one switch of a running hybrid deployment. */
@Command(
        name = "set",
        description = {
            "Changes one setting of the hybrid section in mailflow.xml, which a running gateway takes up within two"
                    + " seconds. Everything else in the file stays as it is."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:set, or it was so already", "1:refused; nothing was changed", "2:wrong usage"})
final class HybridSetCommand implements Callable<Integer> {
    private final Map<String, String> environment;
    private final Clock clock;

    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Parameters(
            arity = "1..*",
            paramLabel = "SETTING=VALUE",
            description = "centralizedTransport=on|off, secureMail=on|off, mx=onPremises|cloud")
    private List<String> settings;

    @Option(names = "--dry-run", description = "show what would change, write nothing")
    private boolean dryRun;

    HybridSetCommand(Map<String, String> environment, Clock clock) {
        this.environment = environment;
        this.clock = clock;
    }

    @Override
    public Integer call() throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        try {
            HybridConfiguration configuration = HybridConfiguration.in(policy.existingDirectory());
            if (!configuration.pieces().isHybrid()) {
                err.println("mailflow: there is no hybrid section to change; begin with 'mailflow hybrid setup'");
                err.flush();
                return Mailflow.NO;
            }
            for (String setting : settings) {
                set(configuration.pieces(), setting);
            }
            configuration.planPolicy();
            return carryOut(spec, configuration, environment, clock, dryRun);
        } catch (XmlSyntaxException e) {
            err.println("mailflow: " + e.getMessage());
            err.flush();
            return Mailflow.NO;
        }
    }

    private void set(PolicyPieces pieces, String setting) throws XmlSyntaxException {
        int equals = setting.indexOf('=');
        String name = equals < 0 ? setting : setting.substring(0, equals);
        String value = equals < 0 ? "" : setting.substring(equals + 1);
        try {
            switch (name.toLowerCase(Locale.ROOT)) {
                case "centralizedtransport" -> pieces.setCentralizedTransport(Questions.onOrOff(value));
                case "securemail" -> pieces.setSecureMail(Questions.onOrOff(value));
                case "mx" -> pieces.setMx(Mx.parse(value));
                default -> throw new IllegalArgumentException("found the setting '" + name
                        + "', expected centralizedTransport=on|off, secureMail=on|off or mx=onPremises|cloud");
            }
        } catch (IllegalArgumentException e) {
            throw new CommandLine.ParameterException(spec.commandLine(), setting + ": " + e.getMessage(), e);
        }
    }

    /** Shows and writes a change of the policy alone. */
    static int carryOut(
            CommandSpec spec,
            HybridConfiguration configuration,
            Map<String, String> environment,
            Clock clock,
            boolean dryRun)
            throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        ConfigurationChanges changes = configuration.changes();
        if (changes.isEmpty()) {
            out.println("Nothing to change.");
            configuration.pieces().kept().forEach(out::println);
            out.flush();
            return 0;
        }
        if (!configuration.isAcceptable(environment, clock, spec.commandLine().getErr())) {
            return Mailflow.NO;
        }
        out.print(changes.diff());
        configuration.pieces().kept().forEach(out::println);
        if (!dryRun) {
            HybridSetupCommand.write(changes, clock, out);
        }
        out.flush();
        return 0;
    }
}
