/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.assertj.core.api.SoftAssertions;

import dev.mailflow.policy.PolicyProblem;

/**
 * A document that says itself which problems it has: a comment {@code <!--! fragment -->} on a line means one error on
 * that line whose message contains the fragment, {@code <!--? fragment -->} one warning; several are separated by
 * {@code ||}.
 */
record MarkedDocument(String name, String xml) {
    private static final Pattern MARK = Pattern.compile("<!--([!?])(.*?)-->");

    private record Expected(int line, PolicyProblem.Severity severity, String fragment) {
        boolean isMetBy(PolicyProblem problem) {
            return problem.location().file().equals("mailflow.xml")
                    && problem.location().line() == line
                    && problem.severity() == severity
                    && problem.message().contains(fragment);
        }
    }

    /** A document with the given content of the root element. */
    static MarkedDocument of(String name, String content) {
        return new MarkedDocument(name, "<mailflow>\n" + content + "</mailflow>\n");
    }

    private List<Expected> expected() {
        List<Expected> expected = new ArrayList<>();
        List<String> lines = xml.lines().toList();
        for (int i = 0; i < lines.size(); i++) {
            Matcher matcher = MARK.matcher(lines.get(i));
            while (matcher.find()) {
                PolicyProblem.Severity severity =
                        matcher.group(1).equals("!") ? PolicyProblem.Severity.ERROR : PolicyProblem.Severity.WARNING;
                int line = i + 1;
                Arrays.stream(matcher.group(2).split("\\|\\|"))
                        .forEach(fragment -> expected.add(new Expected(line, severity, fragment.trim())));
            }
        }
        return expected;
    }

    /** Asserts that the reading has the problems announced, and no other. */
    void verify(PolicyReading reading) {
        List<Expected> expected = expected();
        assertThat(expected).as("marks").isNotEmpty();
        SoftAssertions softly = new SoftAssertions();
        List<PolicyProblem> unannounced = new ArrayList<>(reading.problems());
        for (Expected each : expected) {
            softly.assertThat(unannounced.stream().filter(each::isMetBy).findFirst())
                    .as("%s, among %s", each, reading.problems())
                    .isPresent()
                    .hasValueSatisfying(unannounced::remove);
        }
        softly.assertThat(unannounced).as("problems nobody announced").isEmpty();
        boolean errors = expected.stream().anyMatch(each -> each.severity() == PolicyProblem.Severity.ERROR);
        softly.assertThat(reading.policy().isEmpty()).as("refused").isEqualTo(errors);
        softly.assertAll();
    }

    @Override
    public String toString() {
        return name;
    }
}
