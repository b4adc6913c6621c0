/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.mtasts;

import java.util.Optional;

import dev.mailflow.delivery.tls.TlsFault;

/**
 * What MTA-STS says of a mail domain.
 *
 * @param policy empty: nothing holds
 * @param fault why no newer policy could be had, if one is published
 */
public record StsAnswer(Optional<StsPolicy> policy, Optional<Fault> fault) {
    /** Nothing is published, or MTA-STS is not asked. */
    public static final StsAnswer NONE = new StsAnswer(Optional.empty(), Optional.empty());

    /**
     * Why a policy could not be had.
     *
     * @param reason for people
     */
    public record Fault(TlsFault kind, String reason) {}
}
