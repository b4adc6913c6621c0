/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.mtasts;

import java.util.Optional;

import dev.mailflow.delivery.tls.TlsFault;

/**
 * What MTA-STS says of a mail domain.
 *
 * @param policy empty: nothing holds
 * @param fault why no newer policy could be had, if one is published
 * @param dnsTrouble why DNS cannot say whether one is published
 */
public record StsAnswer(Optional<StsPolicy> policy, Optional<Fault> fault, Optional<String> dnsTrouble) {
    /** Nothing is published, or MTA-STS is not asked. */
    public static final StsAnswer NONE = new StsAnswer(Optional.empty(), Optional.empty(), Optional.empty());

    static StsAnswer of(Optional<StsPolicy> policy, Optional<Fault> fault) {
        return new StsAnswer(policy, fault, Optional.empty());
    }

    /** Why there may be a policy that is not known now, but another time; empty when one is known or there is none. */
    public Optional<String> doubt() {
        return policy.isPresent() ? Optional.empty() : fault.map(Fault::reason).or(() -> dnsTrouble);
    }

    /**
     * What is wrong with a policy, so that it could not be had or cannot be held.
     *
     * @param reason for people
     */
    public record Fault(TlsFault kind, String reason) {}
}
