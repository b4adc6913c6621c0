/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Locale;
import java.util.Optional;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.testing.PolicyXml;

class RecipientLocationTest {
    private static final String OTHERS =
            """
            <acceptedDomains>
              <domain type="%s">contoso.com</domain>
              <domain>alone.example</domain>
              <domain type="externalRelay">tailspin.com</domain>
            </acceptedDomains>
            """;

    private static MailFlowPolicy policy(String type) {
        return PolicyXml.policy(HybridPolicies.topology(type, "")
                .replaceFirst("<acceptedDomains>.*</acceptedDomains>", OTHERS.formatted(type)));
    }

    /** j is here, d and d.alias in the cloud, c a contact of somebody else; nobody else is known. */
    private static MailboxPlace directory(MailAddress address) throws DirectoryUnavailableException {
        return switch (address.asString().toLowerCase(Locale.ROOT)) {
            case "j@contoso.com", "j@alone.example" -> new MailboxPlace.Here("listed");
            case "d@contoso.com" -> MailboxPlace.Away.inCloud("listed");
            case "alias@contoso.com" -> new MailboxPlace.Away(
                    Optional.of(address("d.real@contoso.mail.onmicrosoft.com")), "listed");
            case "c@contoso.com" -> new MailboxPlace.Away(Optional.of(address("c@elsewhere.example")), "listed");
            case "down@contoso.com" -> throw new DirectoryUnavailableException("the directory is down");
            default -> new MailboxPlace.Nowhere("not listed");
        };
    }

    private static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (AddressException e) {
            throw new IllegalArgumentException(e);
        }
    }

    @ParameterizedTest
    @CsvSource({
        // recipient, type of the shared domain, location, address
        "j@contoso.com, authoritative, Local, j@contoso.com",
        "d@contoso.com, authoritative, Cloud, d@contoso.mail.onmicrosoft.com",
        "x@contoso.com, authoritative, Unknown, x@contoso.com",
        "j@contoso.com, internalRelay, Local, j@contoso.com",
        "x@contoso.com, internalRelay, Cloud, x@contoso.mail.onmicrosoft.com",
        "D@Contoso.com, authoritative, Cloud, d@contoso.mail.onmicrosoft.com",
        "alias@contoso.com, authoritative, Cloud, d.real@contoso.mail.onmicrosoft.com",
        "c@contoso.com, authoritative, Remote, c@elsewhere.example",
        "d+news@contoso.com, authoritative, Cloud, d+news@contoso.mail.onmicrosoft.com",
        "alias+a+b@contoso.com, authoritative, Cloud, d.real+a+b@contoso.mail.onmicrosoft.com",
        "j+news@contoso.com, authoritative, Local, j@contoso.com",
        "x+news@contoso.com, internalRelay, Cloud, x+news@contoso.mail.onmicrosoft.com",
        "x+news@contoso.com, authoritative, Unknown, x+news@contoso.com",
        "d@contoso.mail.onmicrosoft.com, authoritative, Cloud, d@contoso.mail.onmicrosoft.com",
        "j@alone.example, authoritative, Local, j@alone.example",
        "x@alone.example, authoritative, Unknown, x@alone.example",
        "e@tailspin.com, authoritative, Remote, e@tailspin.com",
        "e@example.org, authoritative, Remote, e@example.org"
    })
    void recipientShouldBeWhereTheDirectoryAndTheTopologySay(
            String recipient, String type, String location, String goesTo) throws Exception {
        RecipientLocation found =
                RecipientLocation.of(policy(type), new MailAddress(recipient), RecipientLocationTest::directory);

        assertThat(found.getClass().getSimpleName()).isEqualTo(location);
        assertThat(found.address()).isEqualTo(new MailAddress(goesTo));
        assertThat(found.reason()).isNotBlank();
    }

    @Test
    void nothingShouldBeSaidOfARecipientWhileTheDirectoryIsDown() {
        assertThatThrownBy(() -> RecipientLocation.of(
                        policy("internalRelay"), new MailAddress("down@contoso.com"), RecipientLocationTest::directory))
                .isInstanceOf(DirectoryUnavailableException.class);
    }

    @Test
    void directoryShouldNotBeAskedForStrangers() throws Exception {
        RecipientLocation found =
                RecipientLocation.of(policy("authoritative"), new MailAddress("e@example.org"), address -> {
                    throw new DirectoryUnavailableException("asked for " + address);
                });

        assertThat(found).isInstanceOf(RecipientLocation.Remote.class);
    }
}
