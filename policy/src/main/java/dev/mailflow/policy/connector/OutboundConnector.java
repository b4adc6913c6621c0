/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.SenderPattern;

/**
 * How mail leaves for some recipients.
 *
 * @param enabled false: as if it were absent, but its name is still known
 * @param rulesOnly chosen only by name, never by recipient domain
 * @param recipientDomains which recipients it is for; may be empty for {@code rulesOnly}
 * @param senderDomains which senders it is for; empty: all
 * @param cost breaks ties; lower wins
 */
public record OutboundConnector(
        String name,
        boolean enabled,
        ConnectorType type,
        boolean rulesOnly,
        Set<DomainPattern> recipientDomains,
        Set<SenderPattern> senderDomains,
        int cost,
        NextHops nextHops,
        TlsRequirement tls,
        List<Credentials> credentials,
        ConnectionLimits limits,
        RetrySchedule retry,
        InternalHeaders internalHeaders,
        SourceLocation location) {

    /** The name of the connector that is implied when no connector is for a recipient. */
    public static final String INTERNET = "internet";

    /** The default route: MX, opportunistic TLS, MTA-STS and DANE. */
    public static final OutboundConnector IMPLIED_INTERNET = new OutboundConnector(
            INTERNET,
            true,
            ConnectorType.INTERNET,
            false,
            Set.of(DomainPattern.ANY),
            Set.of(),
            0,
            new NextHops.UseMx(),
            TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(true, true),
            List.of(),
            ConnectionLimits.DEFAULT,
            RetrySchedule.DEFAULT,
            InternalHeaders.STRIP,
            SourceLocation.NONE);

    public OutboundConnector {
        recipientDomains = Set.copyOf(recipientDomains);
        senderDomains = Set.copyOf(senderDomains);
        credentials = List.copyOf(credentials);
    }

    /** The credentials for this sender (empty: the null sender): those of the most specific pattern that names it. */
    public Optional<Credentials> credentialsFor(Optional<MailAddress> sender) {
        return credentials.stream()
                .filter(candidate -> candidate.sender().matches(sender))
                .max(Comparator.comparingLong(candidate -> candidate.sender().specificity()));
    }

    /** This connector with another demand on TLS. */
    public OutboundConnector with(TlsRequirement demanded) {
        return new OutboundConnector(
                name,
                enabled,
                type,
                rulesOnly,
                recipientDomains,
                senderDomains,
                cost,
                nextHops,
                demanded,
                credentials,
                limits,
                retry,
                internalHeaders,
                location);
    }
}
