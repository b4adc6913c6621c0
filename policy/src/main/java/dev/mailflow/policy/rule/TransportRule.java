/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;

/**
 * One rule of {@code <transportRules>}: a compiled script and when it counts.
 *
 * @param name unique among the rules
 * @param enabled false: as if the rule were absent
 * @param activates empty: since ever
 * @param expires empty: never
 * @param onError what becomes of a mail on which the script fails
 * @param atSmtp whether a rejection by this rule may be told to the client at the end of DATA
 * @param nullSender whether mail of the null sender (delivery reports among it) is not exempt
 */
public record TransportRule(
        String name,
        Mode mode,
        boolean enabled,
        Optional<Instant> activates,
        Optional<Instant> expires,
        OnError onError,
        boolean atSmtp,
        boolean nullSender,
        RuleScript script,
        SourceLocation location) {

    /** How much a rule may do. */
    public enum Mode {
        /** What the script says is done. */
        ENFORCE,
        /** The script is run and what it would do recorded; nothing changes. */
        AUDIT,
        /** The script is not run. */
        OFF;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What becomes of a mail on which the script fails. */
    public enum OnError {
        /** It waits and is judged again later. */
        DEFER,
        /** The rule counts as one that did not hit. */
        IGNORE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Why the rule is not asked at that time; empty: it is. */
    public Optional<String> idleAt(Instant now) {
        if (!enabled) {
            return Optional.of("it is disabled");
        }
        if (mode == Mode.OFF) {
            return Optional.of("its mode is off");
        }
        if (activates.filter(now::isBefore).isPresent()) {
            return Optional.of("it activates at " + activates.get());
        }
        return expires.filter(end -> !now.isBefore(end)).map(end -> "it expired at " + end);
    }

    /** Whether what the script says is done at that time. */
    public boolean isEnforcedAt(Instant now) {
        return mode == Mode.ENFORCE && idleAt(now).isEmpty();
    }
}
