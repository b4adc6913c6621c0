/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Replaces {@code ${env:NAME}} and {@code ${file:path}} in values. */
final class References {
    private static final Pattern REFERENCE = Pattern.compile("\\$\\{(?:(env|file):([^}]+)})?");
    private static final int LONGEST = 64 * 1024;

    private final Map<String, String> environment;
    private final ConfigurationFiles files;

    References(Map<String, String> environment, ConfigurationFiles files) {
        this.environment = environment;
        this.files = files;
    }

    /**
     * A value after replacement.
     *
     * @param text the value; incomplete when there are faults
     * @param referenced whether any part came from elsewhere, so that the text must not be shown
     * @param faults what could not be resolved, for people; without the text
     */
    record Resolved(String text, boolean referenced, List<String> faults) {}

    Resolved resolve(String value) {
        if (!value.contains("${")) {
            return new Resolved(value, false, List.of());
        }
        List<String> faults = new ArrayList<>();
        StringBuilder text = new StringBuilder();
        Matcher matcher = REFERENCE.matcher(value);
        int from = 0;
        while (matcher.find()) {
            text.append(value, from, matcher.start());
            from = matcher.end();
            if (matcher.group(1) == null) {
                faults.add("found '${' that begins no reference, expected ${env:NAME} or ${file:path}");
            } else if (matcher.group(1).equals("env")) {
                text.append(variable(matcher.group(2), faults));
            } else {
                text.append(content(matcher.group(2), faults));
            }
        }
        text.append(value, from, value.length());
        return new Resolved(text.toString(), true, faults);
    }

    private String variable(String name, List<String> faults) {
        String value = environment.get(name);
        if (value == null) {
            faults.add("found ${env:" + name + "}, but the environment variable " + name
                    + " is not set; expected it in the environment of the server");
            return "";
        }
        return value;
    }

    private String content(String name, List<String> faults) {
        String fault = "found ${file:" + name + "}, but ";
        Path path;
        try {
            path = pathOf(name);
        } catch (InvalidPathException e) {
            faults.add(fault + "that is no path; expected an absolute path or one in the configuration directory");
            return "";
        }
        try {
            byte[] content = files.read(path);
            if (content.length > LONGEST) {
                faults.add(fault + "the file is larger than " + LONGEST / 1024 + "K; expected one value");
                return "";
            }
            return withoutFinalNewline(StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(content))
                    .toString());
        } catch (CharacterCodingException e) {
            faults.add(fault + "the file is not UTF-8 text");
        } catch (IOException e) {
            faults.add(fault + path + " cannot be read: " + e.getMessage());
        }
        return "";
    }

    private Path pathOf(String name) {
        if (name.startsWith(FileUrl.CONF)) {
            return files.conf().resolve(name.substring(FileUrl.CONF.length()));
        }
        if (name.startsWith(FileUrl.ABSOLUTE)) {
            return Path.of(name.substring(FileUrl.ABSOLUTE.length() - 1));
        }
        return files.conf().resolve(name.startsWith("conf/") ? name.substring("conf/".length()) : name);
    }

    private static String withoutFinalNewline(String text) {
        if (text.endsWith("\r\n")) {
            return text.substring(0, text.length() - 2);
        }
        return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    }
}
