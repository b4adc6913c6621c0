/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;

import picocli.CommandLine;

/**
 * Gets answers: from the option that gives one, else from the administrator, who is asked again until the answer is
 * valid, else from the default. An empty line takes the default that is shown in brackets.
 */
final class Questions {
    private final BufferedReader in;
    private final PrintWriter out;
    private final boolean interactive;
    private final CommandLine commandLine;

    /** @param commandLine for errors of usage */
    Questions(BufferedReader in, PrintWriter out, boolean interactive, CommandLine commandLine) {
        this.in = in;
        this.out = out;
        this.interactive = interactive;
        this.commandLine = commandLine;
    }

    /**
     * One question.
     *
     * @param option that answers it, for messages
     * @param explanation why it is asked, in a sentence or two
     * @param known what holds now, or what is right for nearly everybody
     * @param guess what an administrator may agree to, and what nobody may take for granted
     */
    record Question(String option, String text, String explanation, Optional<String> known, Optional<String> guess) {

        static Question of(String option, String text, String explanation, Optional<String> known) {
            return new Question(option, text, explanation, known, Optional.empty());
        }

        Question guessing(String value) {
            return new Question(option, text, explanation, known, Optional.of(value));
        }
    }

    /** Something that accepts an answer or says what is wrong with it. */
    @FunctionalInterface
    interface Reader<T> {
        /** @throws IllegalArgumentException saying what was found and what is expected */
        T read(String answer) throws IOException;
    }

    /**
     * The answer.
     *
     * @param given by the option
     * @throws CommandLine.ParameterException when the option's value is invalid, or nobody can be asked
     */
    <T> T ask(Question question, Optional<String> given, Reader<T> reader) throws IOException {
        if (given.isPresent() || !interactive) {
            String answer = given.or(question::known)
                    .orElseThrow(() -> usage("missing " + question.option() + " (" + question.text() + ")"));
            try {
                return reader.read(answer);
            } catch (IllegalArgumentException | IOException e) {
                throw usage(question.option() + ": " + reason(e));
            }
        }
        Optional<String> proposed = question.known().or(question::guess);
        out.println();
        out.println(question.explanation());
        while (true) {
            out.print(
                    question.text() + proposed.map(value -> " [" + value + "]").orElse("") + ": ");
            out.flush();
            String line = line(question.option());
            Optional<String> answer = line.isEmpty() ? proposed : Optional.of(line);
            if (answer.isEmpty()) {
                out.println("  An answer is needed.");
                continue;
            }
            try {
                return reader.read(answer.get());
            } catch (IllegalArgumentException | IOException e) {
                out.println("  " + reason(e));
            }
        }
    }

    private static String reason(Exception e) {
        return e.getMessage() == null ? e.toString() : e.getMessage();
    }

    private String line(String option) throws IOException {
        String line = in.readLine();
        if (line == null) {
            throw usage("the input ended where " + option + " was asked for; give it as an option, or answer");
        }
        return line.strip();
    }

    /** Yes or no, with no as the default. */
    boolean confirm(String question) throws IOException {
        while (true) {
            out.print(question + " [y/N]: ");
            out.flush();
            String answer = line("--yes").toLowerCase(Locale.ROOT);
            if (answer.isEmpty() || answer.equals("n") || answer.equals("no")) {
                return false;
            }
            if (answer.equals("y") || answer.equals("yes")) {
                return true;
            }
            out.println("  found '" + answer + "', expected y or n");
        }
    }

    CommandLine.ParameterException usage(String message) {
        return new CommandLine.ParameterException(commandLine, message);
    }

    /** Reads on or off. */
    static boolean onOrOff(String text) {
        return switch (text.trim().toLowerCase(Locale.ROOT)) {
            case "on", "true", "yes", "y" -> true;
            case "off", "false", "no", "n" -> false;
            default -> throw new IllegalArgumentException("found '" + text + "', expected on or off");
        };
    }

    static String onOrOff(boolean value) {
        return value ? "on" : "off";
    }

    /** A reader of words. */
    static Reader<String> oneOf(List<String> words) {
        Function<String, Optional<String>> find = text -> words.stream()
                .filter(word -> word.equalsIgnoreCase(text.trim()))
                .findFirst();
        return text -> find.apply(text)
                .orElseThrow(() ->
                        new IllegalArgumentException("found '" + text + "', expected " + String.join(" or ", words)));
    }
}
