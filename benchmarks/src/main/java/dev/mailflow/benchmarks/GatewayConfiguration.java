/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A copy of the shipped configuration of the gateway on free ports of loopback, with another policy, whose port for
 * other servers' mail lets this host relay.
 *
 * @param smtpPort that port
 */
record GatewayConfiguration(Path directory, int smtpPort) {
    private static final Pattern BIND = Pattern.compile("<bind>[^<]*</bind>");
    private static final Pattern HTTP_PORT = Pattern.compile("(?m)^port=.*$");
    private static final Pattern VERIFY_IDENTITY = Pattern.compile("<verifyIdentity>");

    /**
     * Writes the copy.
     *
     * @param sample {@code james-conf} of the checkout
     * @param policy the file {@code mailflow.xml}
     */
    static GatewayConfiguration write(Path sample, Path directory, String policy) {
        try {
            copy(sample, directory);
            Files.writeString(directory.resolve("mailflow.xml"), policy);
            try (Stream<Path> files = Files.list(directory)) {
                for (Path file : files.filter(path -> path.toString().endsWith("server.xml"))
                        .toList()) {
                    edit(file, GatewayConfiguration::onFreePorts);
                }
            }
            edit(
                    directory.resolve("webadmin.properties"),
                    text -> HTTP_PORT.matcher(text).replaceFirst("port=" + LoopbackPorts.free()));
            Path smtp = directory.resolve("smtpserver.xml");
            edit(smtp, text -> VERIFY_IDENTITY
                    .matcher(text)
                    .replaceFirst("<authorizedAddresses>127.0.0.0/8</authorizedAddresses>$0"));
            return new GatewayConfiguration(directory, smtpPort(smtp));
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot make the gateway's configuration in " + directory, e);
        }
    }

    private static String onFreePorts(String text) {
        int count = Math.toIntExact(BIND.matcher(text).results().count());
        List<Integer> ports = LoopbackPorts.free(count);
        int[] next = {0};
        return BIND.matcher(text).replaceAll(ignored -> "<bind>127.0.0.1:" + ports.get(next[0]++) + "</bind>");
    }

    /** The port for other servers' mail is the first. */
    private static int smtpPort(Path smtpserver) throws IOException {
        Matcher first = Pattern.compile("<bind>[^<]*:(\\d+)</bind>").matcher(Files.readString(smtpserver));
        return Optional.of(first)
                .filter(Matcher::find)
                .map(found -> Integer.parseInt(found.group(1)))
                .orElseThrow(() -> new BenchmarkFailure("found no <bind> in " + smtpserver));
    }

    private static void edit(Path file, UnaryOperator<String> change) throws IOException {
        String before = Files.readString(file);
        String after = change.apply(before);
        if (after.equals(before)) {
            throw new BenchmarkFailure("found nothing to change in " + file
                    + ", expected <bind> in servers, <verifyIdentity> in smtpserver.xml, port= in webadmin.properties");
        }
        Files.writeString(file, after);
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target);
                }
            }
        }
    }
}
