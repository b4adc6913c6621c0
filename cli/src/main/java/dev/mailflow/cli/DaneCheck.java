/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.util.ArrayList;
import java.util.List;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.TlsLevel;

/**
 * Whether those who hold TLSA records can know that these are signed. The policy says who does, James's mailet container
 * whom DNS is believed from, so neither can tell alone.
 */
final class DaneCheck {
    private static final String MEND =
            "; add <trustedResolver>127.0.0.1</trustedResolver>, the address of a resolver that validates, or"
                    + " <rootTrustAnchors> to the mailet RouteToConnector in mailetcontainer.xml";

    private DaneCheck() {}

    static List<PolicyProblem> check(MailFlowPolicy policy, DeliverySettings settings) {
        List<PolicyProblem> problems = new ArrayList<>();
        for (OutboundConnector connector : policy.outboundConnectors().all()) {
            if (!connector.enabled()
                    || connector.location().equals(SourceLocation.NONE)
                    || !connector.tls().dane()) {
                continue;
            }
            String who = "outbound connector '" + connector.name() + "' ";
            boolean demanded = connector.tls().level() == TlsLevel.DANE;
            try {
                settings.dnssec();
            } catch (IllegalArgumentException e) {
                problems.add(PolicyProblem.error(
                        connector.location(),
                        who + "uses DANE, and the mailet RouteToConnector in mailetcontainer.xml keeps James from"
                                + " starting: " + e.getMessage()));
                continue;
            }
            if (settings.knowsDnssec()) {
                continue;
            }
            problems.add(
                    demanded
                            ? PolicyProblem.error(
                                    connector.location(),
                                    who + "can never succeed at TLS level dane: nobody is trusted to tell what DNSSEC"
                                            + " vouches for" + MEND)
                            : PolicyProblem.warning(
                                    connector.location(),
                                    who + "has dane=\"true\" without effect: nobody is trusted to tell what DNSSEC"
                                            + " vouches for" + MEND));
        }
        return problems;
    }
}
