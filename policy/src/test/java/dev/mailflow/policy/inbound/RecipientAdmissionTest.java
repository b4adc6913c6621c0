/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.apache.james.core.Domain;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.inbound.RecipientAdmission.Mailbox;

class RecipientAdmissionTest {
    private static final AcceptedDomains DOMAINS = AcceptedDomains.of(List.of(
            domain("contoso.com", AcceptedDomain.Type.AUTHORITATIVE),
            domain("fabrikam.com", AcceptedDomain.Type.INTERNAL_RELAY),
            domain("*.tailspin.com", AcceptedDomain.Type.EXTERNAL_RELAY)));

    private static AcceptedDomain domain(String pattern, AcceptedDomain.Type type) {
        return new AcceptedDomain(DomainPattern.parse(pattern), type, SourceLocation.NONE);
    }

    @ParameterizedTest(name = "{0}, mailbox {1}, may relay {2}: {3}")
    @CsvSource({
        "contoso.com, LOCAL, false, deliver",
        "contoso.com, NOT_ASKED, false, deliver",
        "contoso.com, UNKNOWN, false, 550 5.1.10 Recipient not found",
        "contoso.com, UNKNOWN, true, 550 5.1.10 Recipient not found",
        "fabrikam.com, LOCAL, false, deliver",
        "fabrikam.com, NOT_ASKED, false, deliver",
        "fabrikam.com, UNKNOWN, false, relay",
        "tailspin.com, UNKNOWN, false, relay",
        "tailspin.com, LOCAL, false, relay",
        "eu.tailspin.com, NOT_ASKED, false, relay",
        "northwind.com, NOT_ASKED, false, 550 5.7.64 Relay access denied",
        "northwind.com, LOCAL, false, 550 5.7.64 Relay access denied",
        "sub.contoso.com, UNKNOWN, false, 550 5.7.64 Relay access denied",
        "northwind.com, NOT_ASKED, true, relay",
    })
    void decideShouldFollowTheDomainType(String recipient, Mailbox mailbox, boolean mayRelay, String outcome) {
        RecipientAdmission admission = RecipientAdmission.decide(DOMAINS, mayRelay, Domain.of(recipient), mailbox);

        assertThat(describe(admission)).isEqualTo(outcome);
        assertThat(admission.reason()).isNotBlank();
    }

    private static String describe(RecipientAdmission admission) {
        if (admission instanceof RecipientAdmission.Reject reject) {
            return reject.reply().toString();
        }
        return admission instanceof RecipientAdmission.Relay ? "relay" : "deliver";
    }
}
