/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;

/** A script as a compiler would make it, written by hand. Counts its runs. */
final class GivenScript implements RuleScript {
    private final boolean dependsOnRecipient;
    private final Body body;
    int runs;

    private GivenScript(boolean dependsOnRecipient, Body body) {
        this.dependsOnRecipient = dependsOnRecipient;
        this.body = body;
    }

    /** What the script does. */
    interface Body {
        RuleVerdict run(Run run) throws RuleScriptException;
    }

    /** For every message. */
    static GivenScript always(RuleAction... actions) {
        return new GivenScript(false, run -> verdict(run, false, actions));
    }

    static GivenScript alwaysAndStop(RuleAction... actions) {
        return new GivenScript(false, run -> verdict(run, true, actions));
    }

    /** For those recipients only. */
    static GivenScript forRecipients(Predicate<MailAddress> whom, RuleAction... actions) {
        return new GivenScript(
                true, run -> whom.test(run.recipients().get(0)) ? verdict(run, false, actions) : verdict(run, false));
    }

    static GivenScript perRecipient(Body body) {
        return new GivenScript(true, body);
    }

    static GivenScript of(Body body) {
        return new GivenScript(false, body);
    }

    /** When the header has the field. */
    static GivenScript ifHeader(String name, RuleAction... actions) {
        return new GivenScript(
                false,
                run -> run.message().header().fields().stream()
                                .anyMatch(field -> field.name().equalsIgnoreCase(name))
                        ? verdict(run, false, actions)
                        : verdict(run, false));
    }

    static RuleVerdict verdict(Run run, boolean stop, RuleAction... actions) {
        HeaderSection header = run.message().header();
        for (RuleAction action : actions) {
            if (action instanceof RuleAction.AddHeader added) {
                List<HeaderField> fields = new ArrayList<>(header.fields());
                fields.add(0, HeaderField.of(added.name(), added.value()));
                header = header.with(fields);
            }
        }
        return new RuleVerdict(List.of(actions), header, stop);
    }

    @Override
    public boolean dependsOnRecipient() {
        return dependsOnRecipient;
    }

    @Override
    public RuleVerdict run(Run run) throws RuleScriptException {
        runs++;
        return body.run(run);
    }

    @Override
    public Inspection inspection() {
        return new Inspection(List.of(), Set.of(), false, false, Optional.empty());
    }

    TransportRule rule(String name) {
        return new TransportRule(
                name,
                TransportRule.Mode.ENFORCE,
                true,
                Optional.empty(),
                Optional.empty(),
                TransportRule.OnError.DEFER,
                false,
                false,
                this,
                SourceLocation.NONE);
    }
}
