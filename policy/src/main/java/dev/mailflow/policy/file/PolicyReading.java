/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import dev.mailflow.policy.InvalidPolicyException;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;

/** The outcome of one reading of {@code mailflow.xml} by {@link MailFlowXmlReader}. */
public final class PolicyReading {
    private final String source;
    private final Optional<MailFlowPolicy> policy;
    private final List<PolicyProblem> problems;
    private final Map<Path, FileStamp> stamps;

    PolicyReading(
            String source, Optional<MailFlowPolicy> policy, List<PolicyProblem> problems, Map<Path, FileStamp> stamps) {
        this.source = source;
        this.policy = policy;
        this.problems = List.copyOf(problems);
        this.stamps = Map.copyOf(stamps);
    }

    /** The policy; empty when any problem is an error. */
    public Optional<MailFlowPolicy> policy() {
        return policy;
    }

    /**
     * The policy.
     *
     * @throws InvalidPolicyException with all problems, when any is an error
     */
    public MailFlowPolicy policyOrThrow() throws InvalidPolicyException {
        return policy.orElseThrow(() -> new InvalidPolicyException(source, problems));
    }

    /** Errors and warnings: those of the policy file first, each file's in line order. */
    public List<PolicyProblem> problems() {
        return problems;
    }

    /** The policy file and every file it names, whether they could be read or not; absolute. */
    public Set<Path> files() {
        return stamps.keySet();
    }

    /** The state each file was in just before it was read. */
    Map<Path, FileStamp> stamps() {
        return stamps;
    }
}
