/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

import org.apache.commons.configuration2.Configuration;
import org.apache.commons.configuration2.ex.ConfigurationException;

import dev.mailflow.policy.connection.IpRange;

/** Reads the parameters of a handler; a mistake names the handler, the parameter, what was found and what would be right. */
record Parameters(String handler, Configuration configuration) {
    /** Of a key such as {@code connector.messagesPerMinute} or {@code connector[@name]}. */
    private static final Pattern END_OF_NAME = Pattern.compile("[.\\[]");

    /**
     * Those of a handler.
     *
     * @param names all it has; another one is a mistake, for what it was meant to say would not be honoured
     */
    static Parameters of(Class<?> handler, Configuration configuration, List<String> names)
            throws ConfigurationException {
        for (Iterator<String> keys = configuration.getKeys(); keys.hasNext(); ) {
            String name = END_OF_NAME.split(keys.next(), 2)[0];
            if (!name.isEmpty() && !names.contains(name)) {
                throw new ConfigurationException("handler " + handler.getName() + ": found parameter <" + name
                        + ">, expected none but <" + String.join(">, <", names) + ">");
            }
        }
        return new Parameters(handler.getName(), configuration);
    }

    private Optional<String> text(String name) {
        return Optional.ofNullable(configuration.getString(name, null))
                .map(String::trim)
                .filter(value -> !value.isEmpty());
    }

    /** A positive whole number. */
    Optional<Integer> positive(String name) throws ConfigurationException {
        Optional<String> text = text(name);
        if (text.isEmpty()) {
            return Optional.empty();
        }
        try {
            int value = Integer.parseInt(text.get());
            if (value > 0) {
                return Optional.of(value);
            }
            throw wrong(name, text.get(), "a whole number above 0");
        } catch (NumberFormatException e) {
            throw wrong(name, text.get(), "a whole number above 0");
        }
    }

    boolean flag(String name, boolean otherwise) throws ConfigurationException {
        String value = text(name).orElse(String.valueOf(otherwise));
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw wrong(name, value, "true or false");
        };
    }

    /** Addresses, networks and ranges, separated by commas. */
    List<IpRange> ranges(String name) throws ConfigurationException {
        Optional<String> text = text(name);
        if (text.isEmpty()) {
            return List.of();
        }
        try {
            return Arrays.stream(text.get().split(","))
                    .map(String::trim)
                    .filter(value -> !value.isEmpty())
                    .map(IpRange::parse)
                    .toList();
        } catch (IllegalArgumentException e) {
            throw new ConfigurationException("parameter <" + name + "> of handler " + handler + ": " + e.getMessage());
        }
    }

    ConfigurationException wrong(String name, String found, String expected) {
        return new ConfigurationException(
                "parameter <" + name + "> of handler " + handler + ": found '" + found + "', expected " + expected);
    }
}
