/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

import java.util.List;
import java.util.function.Consumer;

import com.google.inject.ImplementedBy;

import dev.mailflow.policy.file.FilePolicyRepository;

/**
 * Where the policy in force comes from. Implementations swap whole snapshots atomically and keep the last good one
 * when a newer one is invalid. The default, without any Guice configuration, is {@link FilePolicyRepository}.
 */
@ImplementedBy(FilePolicyRepository.class)
public interface PolicyRepository {

    /** The snapshot in force; never null, costs one volatile read. */
    MailFlowPolicy current();

    /** Why the newest version of the policy is not in force; empty when it is. */
    List<PolicyProblem> pendingProblems();

    /**
     * Calls {@code listener} with each new snapshot after it came into force, on the thread that loaded it. The
     * listener must return quickly; what it throws is logged and changes nothing.
     *
     * @return a handle that ends the subscription
     */
    Subscription subscribe(Consumer<MailFlowPolicy> listener);

    /** Ends a subscription; closing twice does nothing. */
    interface Subscription extends AutoCloseable {
        @Override
        void close();
    }
}
