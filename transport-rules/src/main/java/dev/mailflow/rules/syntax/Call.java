/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.syntax;

import java.util.List;
import java.util.Optional;

/**
 * A command or a test (RFC 5228 sections 2.9 and 2.10.1).
 *
 * @param name in lower case
 * @param tests the test or tests that follow the arguments
 * @param listed whether the tests are in parentheses
 * @param block the commands in braces; never present on a test
 * @param text as in the script, shortened, without the block
 */
public record Call(
        String name,
        Position at,
        List<Argument> arguments,
        List<Call> tests,
        boolean listed,
        Optional<List<Call>> block,
        String text) {
    public Call {
        arguments = List.copyOf(arguments);
        tests = List.copyOf(tests);
        block = block.map(List::copyOf);
    }
}
