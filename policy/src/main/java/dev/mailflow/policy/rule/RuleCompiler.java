/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Consumer;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;

/**
 * Turns the script of a transport rule into a {@link RuleScript}, once per policy snapshot. The language lives in a module
 * of its own and is found as a service, so that the policy can be read without it.
 */
public interface RuleCompiler {

    /**
     * A script as it stands in the configuration.
     *
     * @param rule the rule's name
     * @param text the whole script
     * @param start the place of the script's first line
     */
    record Source(String rule, String text, SourceLocation start) {

        /** @param line 1-based, within the script */
        public SourceLocation at(int line) {
            return new SourceLocation(start.file(), start.line() + line - 1);
        }
    }

    /** Reads the lists that scripts name with {@code :list} (RFC 6134). */
    @FunctionalInterface
    interface Lists {
        /**
         * @param name as in the script, e.g. {@code file://conf/vips.txt}
         * @return one entry a line, without comments and empty lines; empty when this is no name of a list
         * @throws IOException when the list cannot be read; its message is for people
         */
        Optional<List<String>> read(String name) throws IOException;
    }

    /**
     * Compiles a script; tells every mistake in one pass.
     *
     * @param problems told of each mistake, with the rule's name, line and column in the text
     * @return empty when there was an error
     */
    Optional<RuleScript> compile(Source source, Lists lists, Consumer<PolicyProblem> problems);

    /** The compiler on the class path; empty when the module with the language is not there. */
    static Optional<RuleCompiler> find() {
        return ServiceLoader.load(RuleCompiler.class, RuleCompiler.class.getClassLoader())
                .findFirst();
    }
}
