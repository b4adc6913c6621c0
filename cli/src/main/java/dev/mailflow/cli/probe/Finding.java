/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.probe;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import com.fasterxml.jackson.databind.node.ArrayNode;

/**
 * One thing that was looked at.
 *
 * @param where the host, connector or domain it is about
 * @param what the step or question, in a word or two
 * @param seen what was seen, for people; never a secret
 * @param mend what to do about it; empty when there is nothing to do
 */
public record Finding(String where, String what, Result result, String seen, Optional<String> mend) {

    /** Whether all is well. */
    public enum Result {
        OK("ok"),
        WARNING("warning"),
        FAILED("failed"),
        /** Not looked at, because something before it failed or nobody asked. */
        SKIPPED("skipped");

        private final String label;

        Result(String label) {
            this.label = label;
        }

        @Override
        public String toString() {
            return label;
        }
    }

    public static Finding ok(String where, String what, String seen) {
        return new Finding(where, what, Result.OK, seen, Optional.empty());
    }

    public static Finding warning(String where, String what, String seen, String mend) {
        return new Finding(where, what, Result.WARNING, seen, Optional.of(mend));
    }

    public static Finding failed(String where, String what, String seen, String mend) {
        return new Finding(where, what, Result.FAILED, seen, Optional.of(mend));
    }

    public static Finding skipped(String where, String what, String why) {
        return new Finding(where, what, Result.SKIPPED, why, Optional.empty());
    }

    /** Whether none of them failed. */
    public static boolean good(List<Finding> findings) {
        return findings.stream().noneMatch(finding -> finding.result() == Result.FAILED);
    }

    /** Prints them for people, each group of one place under its name. */
    public static void print(List<Finding> findings, PrintWriter out) {
        String place = "";
        for (Finding finding : findings) {
            if (!finding.where().equals(place)) {
                place = finding.where();
                out.println(place);
            }
            out.println(String.format(Locale.ROOT, "  %-8s %-14s %s", finding.result(), finding.what(), finding.seen())
                    .stripTrailing());
            finding.mend().ifPresent(mend -> out.println(" ".repeat(11) + "to mend it: " + mend));
        }
    }

    /** Appends them for programs: {@code where, what, result, seen, mend}; {@code mend} is null when empty. */
    public static void toJson(List<Finding> findings, ArrayNode all) {
        findings.forEach(finding -> all.addObject()
                .put("where", finding.where())
                .put("what", finding.what())
                .put("result", finding.result().toString())
                .put("seen", finding.seen())
                .put("mend", finding.mend().orElse(null)));
    }
}
