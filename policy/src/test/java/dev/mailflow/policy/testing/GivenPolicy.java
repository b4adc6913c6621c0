/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.testing;

import java.util.List;
import java.util.function.Consumer;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;

/** The policy a test gives; {@link #replace} is its reload. */
public final class GivenPolicy implements PolicyRepository {
    private volatile MailFlowPolicy policy;
    private final List<Consumer<MailFlowPolicy>> listeners = new java.util.concurrent.CopyOnWriteArrayList<>();

    private GivenPolicy(MailFlowPolicy policy) {
        this.policy = policy;
    }

    /** A repository of the given content of {@code <mailflow>}. */
    public static GivenPolicy of(String content) {
        return new GivenPolicy(PolicyXml.policy(content));
    }

    public void replace(String content) {
        policy = PolicyXml.policy(content);
        listeners.forEach(listener -> listener.accept(policy));
    }

    @Override
    public MailFlowPolicy current() {
        return policy;
    }

    @Override
    public List<PolicyProblem> pendingProblems() {
        return List.of();
    }

    @Override
    public Subscription subscribe(Consumer<MailFlowPolicy> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }
}
