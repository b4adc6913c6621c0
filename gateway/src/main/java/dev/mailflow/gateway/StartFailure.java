/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

import org.apache.commons.configuration2.ex.ConversionException;

import com.google.inject.CreationException;
import com.google.inject.ProvisionException;

import dev.mailflow.gateway.configuration.JamesFiles;
import dev.mailflow.policy.InvalidPolicyException;
import dev.mailflow.policy.PolicyProblem;

/** Turns what James and Guice throw at start into what an administrator can act on. */
final class StartFailure {
    private static final int MAX_CAUSES = 12;

    private StartFailure() {}

    /** What is wrong with James's own files, one line each. */
    static GatewayStartException of(List<PolicyProblem> problems) {
        return new GatewayStartException(lines(problems));
    }

    private static String lines(List<PolicyProblem> problems) {
        return problems.stream().map(PolicyProblem::toString).collect(Collectors.joining("\n"));
    }

    /** @param files in which a value that James could not take is looked for */
    static GatewayStartException of(Throwable failure, JamesFiles files) {
        List<String> reasons = new ArrayList<>();
        Throwable cause = failure;
        for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++, cause = cause.getCause()) {
            if (cause instanceof GatewayStartException known) {
                return known;
            }
            if (cause instanceof InvalidPolicyException invalid) {
                return new GatewayStartException(invalid.getMessage(), failure);
            }
            if (cause instanceof ConversionException conversion) {
                List<PolicyProblem> places = files.placesOf(conversion);
                if (!places.isEmpty()) {
                    return new GatewayStartException(lines(places), failure);
                }
            }
            add(reasons, cause);
        }
        return new GatewayStartException(
                "The gateway could not start: " + (reasons.isEmpty() ? failure : String.join(": ", reasons)), failure);
    }

    private static void add(List<String> reasons, Throwable cause) {
        // Guice's own messages repeat their causes with a page of binding sites
        boolean guice = cause instanceof ProvisionException || cause instanceof CreationException;
        if (guice && cause.getCause() != null) {
            return;
        }
        String message = cause.getMessage();
        if (message == null || message.isBlank()) {
            reasons.add(cause.getClass().getSimpleName());
            return;
        }
        String withoutCause = cause.getCause() == null
                ? message
                : message.replace(cause.getCause().toString(), "");
        String reason = withoutCause.strip();
        if (!reason.isEmpty() && reasons.stream().noneMatch(known -> known.contains(reason))) {
            reasons.add(reason);
        }
    }
}
