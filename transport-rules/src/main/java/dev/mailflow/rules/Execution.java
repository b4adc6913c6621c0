/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.rules.message.MimePart;

/** One run of a script: what it has done so far, and the bounds of what it may do. Used by one thread. */
final class Execution {
    /** Actions of one run. */
    static final int MAX_ACTIONS = 200;

    /** Characters that one variable holds; what is longer is cut (RFC 5229 section 6 asks for 4,000 at least). */
    static final int MAX_VARIABLE = 16_384;

    /** Characters that a string may grow to when its variables are filled in. */
    static final int MAX_STRING = 1 << 18;

    /** Tests of one run, those in loops over the parts of a message counted each time. */
    static final int MAX_TESTS = 1_000_000;

    private final RuleScript.Run run;
    private final RuleScript.Trace trace;
    private final boolean traced;
    private final String[] variables;
    private final List<RuleAction> actions = new ArrayList<>();
    private RuleMessage message;
    private List<String> captured = List.of();
    private Optional<MimePart> part = Optional.empty();
    private Optional<String> leaving = Optional.empty();
    private boolean stopped;
    private int tests;

    Execution(RuleScript.Run run, int variables) {
        this.run = run;
        this.trace = run.trace();
        this.traced = run.trace().isWanted();
        this.message = run.message();
        this.variables = new String[variables];
        Arrays.fill(this.variables, "");
    }

    RuleMessage message() {
        return message;
    }

    List<MailAddress> recipients() {
        return run.recipients();
    }

    Instant now() {
        return run.now();
    }

    boolean isTraced() {
        return traced;
    }

    void tested(SourceLocation where, String test, boolean result) {
        trace.tested(where, test, result);
    }

    void count(SourceLocation where) throws RuleScriptException {
        tests++;
        if (tests > MAX_TESTS) {
            throw new RuleScriptException(where, "the script made more than " + MAX_TESTS + " tests");
        }
    }

    void edited(HeaderSection header) {
        message = message.with(header);
    }

    List<RuleAction> actions() {
        return actions;
    }

    void act(SourceLocation where, RuleAction action) throws RuleScriptException {
        if (actions.size() == MAX_ACTIONS) {
            throw new RuleScriptException(where, "the script has more than " + MAX_ACTIONS + " actions");
        }
        actions.add(action);
    }

    void stop() {
        stopped = true;
    }

    boolean stopped() {
        return stopped;
    }

    String variable(int slot) {
        return variables[slot];
    }

    void set(int slot, String value) {
        variables[slot] = cut(value);
    }

    private static String cut(String value) {
        return value.length() <= MAX_VARIABLE
                ? value
                : value.substring(
                        0, Character.isHighSurrogate(value.charAt(MAX_VARIABLE - 1)) ? MAX_VARIABLE - 1 : MAX_VARIABLE);
    }

    /** What a wildcard or group stood for in the latest match; empty when there was none. */
    String captured(int index) {
        return index < captured.size() ? captured.get(index) : "";
    }

    void captured(List<String> groups) {
        captured = groups.stream().map(Execution::cut).toList();
    }

    /** The part of the innermost loop. */
    Optional<MimePart> part() {
        return part;
    }

    void part(Optional<MimePart> current) {
        part = current;
    }

    /** The name of the loop that a break leaves; empty: the innermost. */
    Optional<String> leaving() {
        return leaving;
    }

    void leave(Optional<String> loop) {
        leaving = loop;
    }
}
