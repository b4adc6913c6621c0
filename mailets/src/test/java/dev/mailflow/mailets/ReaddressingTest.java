/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.DsnParameters.Notify;
import org.apache.mailet.DsnParameters.RecipientDsnParameters;
import org.apache.mailet.DsnParameters.Ret;
import org.apache.mailet.Mail;
import org.apache.mailet.base.test.FakeMail;
import org.junit.jupiter.api.Test;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.event.MailFlowEvent.Located.Move;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.HybridPolicies;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.hybrid.RecipientLocation;
import dev.mailflow.policy.testing.PolicyXml;

class ReaddressingTest {
    private static final String ROUTING = "contoso.mail.onmicrosoft.com";

    private final MailFlowPolicy policy = PolicyXml.policy(HybridPolicies.topology("authoritative", ""));
    private final List<String> asked = new ArrayList<>();

    /** j is here, d and d2 are in the cloud, where alias leads to d; nobody knows of down. */
    private MailboxPlace directory(MailAddress address) throws DirectoryUnavailableException {
        asked.add(address.asString());
        return switch (address.asString()) {
            case "j@contoso.com" -> new MailboxPlace.Here("listed");
            case "d@contoso.com", "d2@contoso.com" -> MailboxPlace.Away.inCloud("listed");
            case "alias@contoso.com" -> new MailboxPlace.Away(Optional.of(address("d@" + ROUTING)), "an alias");
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

    private static FakeMail mail(String... recipients) throws Exception {
        return FakeMail.builder()
                .name("mail-1")
                .sender("e@example.org")
                .recipients(recipients)
                .build();
    }

    private Readdressing readdressing(Mail mail) throws DirectoryUnavailableException {
        return new Readdressing(mail, policy, policy.hybrid().orElseThrow(), this::directory);
    }

    private static List<String> recipients(Mail mail) {
        return mail.getRecipients().stream().map(MailAddress::asString).toList();
    }

    @Test
    void onlyThoseInTheCloudShouldGetOtherAddresses() throws Exception {
        FakeMail mail = mail("j@contoso.com", "d@contoso.com", "x@contoso.com", "x@" + ROUTING, "e@fabrikam.com");

        Readdressing readdressing = readdressing(mail);
        assertThat(recipients(mail)).as("nothing is changed yet").contains("d@contoso.com");
        List<Move> moves = readdressing.apply();

        assertThat(recipients(mail))
                .containsExactlyInAnyOrder(
                        "j@contoso.com", "d@" + ROUTING, "x@contoso.com", "x@" + ROUTING, "e@fabrikam.com");
        assertThat(moves).singleElement().satisfies(move -> {
            assertThat(move.from()).isEqualTo("d@contoso.com");
            assertThat(move.to()).isEqualTo("d@" + ROUTING);
            assertThat(move.reason()).contains("listed");
        });
        assertThat(asked)
                .as("only of shared domains")
                .containsExactlyInAnyOrder("j@contoso.com", "d@contoso.com", "x@contoso.com");
    }

    @Test
    void recipientsShouldBeToldWhereTheyAre() throws Exception {
        Readdressing readdressing =
                readdressing(mail("j@contoso.com", "d@contoso.com", "x@contoso.com", "x@" + ROUTING, "e@fabrikam.com"));

        assertThat(readdressing.of(address("j@contoso.com"))).get().isInstanceOf(RecipientLocation.Local.class);
        assertThat(readdressing.of(address("d@contoso.com"))).get().isInstanceOf(RecipientLocation.Cloud.class);
        assertThat(readdressing.of(address("x@" + ROUTING))).get().isInstanceOf(RecipientLocation.Cloud.class);
        assertThat(readdressing.of(address("x@contoso.com"))).get().isInstanceOf(RecipientLocation.Unknown.class);
        assertThat(readdressing.of(address("e@fabrikam.com"))).isEmpty();
        assertThat(readdressing.of(address("nobody@contoso.com")))
                .as("no recipient")
                .isEmpty();
    }

    @Test
    void mailWithNobodyToMoveShouldStayAsItIs() throws Exception {
        FakeMail mail = mail("j@contoso.com", "e@fabrikam.com");
        DsnParameters wishes = DsnParameters.builder()
                .envId(DsnParameters.EnvId.of("id-1"))
                .addRcptParameter(address("j@contoso.com"), RecipientDsnParameters.of(EnumSet.of(Notify.SUCCESS)))
                .build()
                .orElseThrow();
        mail.setDsnParameters(wishes);

        assertThat(readdressing(mail).apply()).isEmpty();

        assertThat(recipients(mail)).containsExactlyInAnyOrder("j@contoso.com", "e@fabrikam.com");
        assertThat(mail.dsnParameters()).contains(wishes);
    }

    @Test
    void oneMailboxUnderTwoAddressesShouldGetOneCopy() throws Exception {
        FakeMail mail = mail("alias@contoso.com", "d@contoso.com", "d@" + ROUTING);

        assertThat(readdressing(mail).apply())
                .extracting(Move::from)
                .containsExactlyInAnyOrder("alias@contoso.com", "d@contoso.com");

        assertThat(recipients(mail)).containsExactly("d@" + ROUTING);
    }

    @Test
    void wishesOfTheSenderShouldFollowAndNameWhomHeWroteTo() throws Exception {
        FakeMail mail = mail("d@contoso.com", "d2@contoso.com", "e@fabrikam.com");
        RecipientDsnParameters first = RecipientDsnParameters.of(EnumSet.of(Notify.SUCCESS));
        RecipientDsnParameters renamed = RecipientDsnParameters.of(
                        Optional.of(EnumSet.of(Notify.FAILURE)), Optional.of(address("old@contoso.com")))
                .orElseThrow();
        RecipientDsnParameters other = RecipientDsnParameters.of(EnumSet.of(Notify.NEVER));
        mail.setDsnParameters(DsnParameters.builder()
                .envId(DsnParameters.EnvId.of("id-1"))
                .ret(Ret.HDRS)
                .addRcptParameter(address("d@contoso.com"), first)
                .addRcptParameter(address("d2@contoso.com"), renamed)
                .addRcptParameter(address("e@fabrikam.com"), other)
                .build()
                .orElseThrow());

        readdressing(mail).apply();

        DsnParameters after = mail.dsnParameters().orElseThrow();
        assertThat(after.getEnvIdParameter()).contains(DsnParameters.EnvId.of("id-1"));
        assertThat(after.getRetParameter()).contains(Ret.HDRS);
        assertThat(after.getRcptParameters())
                .containsOnlyKeys(address("d@" + ROUTING), address("d2@" + ROUTING), address("e@fabrikam.com"));
        RecipientDsnParameters ofD = after.getRcptParameters().get(address("d@" + ROUTING));
        assertThat(ofD.getNotifyParameter()).isEqualTo(first.getNotifyParameter());
        assertThat(ofD.getOrcptParameter()).contains(address("d@contoso.com"));
        // somebody before us has named the original recipient
        assertThat(after.getRcptParameters().get(address("d2@" + ROUTING))).isEqualTo(renamed);
        assertThat(after.getRcptParameters().get(address("e@fabrikam.com"))).isEqualTo(other);
    }

    @Test
    void originalRecipientShouldBeKeptWhereTheSenderAskedForNothing() throws Exception {
        FakeMail mail = mail("d@contoso.com");

        readdressing(mail).apply();

        assertThat(mail.dsnParameters()
                        .orElseThrow()
                        .getRcptParameters()
                        .get(address("d@" + ROUTING))
                        .getOrcptParameter())
                .contains(address("d@contoso.com"));
    }

    @Test
    void mailShouldStayWholeWhenOneRecipientCannotBeLocatedNow() throws Exception {
        FakeMail mail = mail("d@contoso.com", "down@contoso.com");

        assertThatThrownBy(() -> readdressing(mail))
                .isInstanceOf(DirectoryUnavailableException.class)
                .hasMessage("the directory is down");

        assertThat(recipients(mail)).containsExactlyInAnyOrder("d@contoso.com", "down@contoso.com");
        assertThat(mail.dsnParameters()).isEmpty();
    }
}
