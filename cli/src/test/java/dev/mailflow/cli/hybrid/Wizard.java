/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

import dev.mailflow.cli.Mailflow;
import picocli.CommandLine;

/** {@code mailflow hybrid …} over a copy of the shipped configuration. */
final class Wizard {
    final Path conf;
    private StringWriter out = new StringWriter();
    private StringWriter err = new StringWriter();

    Wizard(Path conf) {
        this.conf = conf;
        try (Stream<Path> files = Files.list(Path.of("..", "james-conf"))) {
            Files.createDirectories(conf);
            for (Path file : files.toList()) {
                Files.copy(file, conf.resolve(file.getFileName().toString()));
            }
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** Runs a subcommand without input. */
    int run(String subcommand, String... arguments) {
        return answering("", subcommand, arguments);
    }

    /** Runs a subcommand with lines of input. */
    int answering(String input, String subcommand, String... arguments) {
        out = new StringWriter();
        err = new StringWriter();
        CommandLine commandLine =
                Mailflow.commandLine(Map.of(), Clock.systemUTC(), new BufferedReader(new StringReader(input)));
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        List<String> all = new ArrayList<>(List.of("hybrid", subcommand, "--conf", conf.toString()));
        all.addAll(Arrays.asList(arguments));
        return commandLine.execute(all.toArray(String[]::new));
    }

    /** Sets everything up without questions; later options win over the usual ones. */
    int setUp(String... more) {
        List<String> arguments = new ArrayList<>(List.of("--non-interactive", "--yes"));
        List<String> given = Arrays.asList(more);
        Map<String, String> usual = new TreeMap<>(Map.of(
                "--domain", "contoso.com",
                "--remote-routing-domain", "contoso.mail.onmicrosoft.com",
                "--smart-host", "contoso-com.mail.protection.outlook.com",
                "--host-name", "mail.contoso.com",
                "--certificate", "self-signed"));
        usual.forEach((option, value) -> {
            if (!given.contains(option)) {
                arguments.addAll(List.of(option, value));
            }
        });
        arguments.addAll(given);
        return run("setup", arguments.toArray(String[]::new));
    }

    String out() {
        return out.toString();
    }

    String err() {
        return err.toString();
    }

    String file(String name) {
        try {
            return Files.readString(conf.resolve(name));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    void write(String name, String content) {
        try {
            Files.writeString(conf.resolve(name), content);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** Every file with its bytes, in hexadecimal. */
    Map<String, String> everything() {
        Map<String, String> all = new TreeMap<>();
        try (Stream<Path> files = Files.walk(conf)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                all.put(
                        conf.relativize(file).toString(),
                        java.util.HexFormat.of().formatHex(Files.readAllBytes(file)));
            }
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return all;
    }
}
