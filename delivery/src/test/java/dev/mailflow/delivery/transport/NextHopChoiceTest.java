/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.UncheckedIOException;
import java.util.Set;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.RecipientOutcome.Failed;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;

/** Which hosts are tried, in which order, and what a domain without any comes to. */
class NextHopChoiceTest {
    private static final OutboundConnector BY_MX = connector().build();

    private LocalDns dns;
    private ScriptedSmtpPeer first;
    private Outbound outbound;

    @BeforeEach
    void start() {
        dns = LocalDns.start();
        first = ScriptedSmtpPeer.builder().address("127.0.0.2").start();
        outbound = Outbound.start(Outbound.config()
                .resolver(dns.resolver())
                .mxPort(first.port())
                .ownNames(Set.of("us.test"))
                .build());
    }

    @AfterEach
    void stop() {
        outbound.close();
        first.close();
        dns.close();
    }

    private RecipientOutcome sendTo(String recipient) {
        return outbound.send(BY_MX, Outbound.message(address(recipient)))
                .outcomes()
                .get(address(recipient));
    }

    private ScriptedSmtpPeer.Builder second() {
        return ScriptedSmtpPeer.builder().address("127.0.0.3").port(first.port());
    }

    @Test
    void mxOfLowestPreferenceShouldBeUsed() {
        dns.mx("d.test", 20, "b.test")
                .mx("d.test", 10, "a.test")
                .a("a.test", "127.0.0.2")
                .a("b.test", "127.0.0.3");
        try (var second = second().start()) {
            assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
            assertThat(sendTo("x@d.test").hop().orElseThrow().host()).isEqualTo("a.test");
            assertThat(second.sessions()).isEmpty();
        }
    }

    static Stream<Arguments> troubleOnTheFirstHop() {
        return Stream.of(
                arguments("CONNECT", Action.drop()),
                arguments("CONNECT", Action.reply("554 5.3.2 not here")),
                arguments("CONNECT", Action.reply("421 4.3.2 busy")),
                arguments("EHLO", Action.drop()),
                arguments("MAIL", Action.reply("451 4.3.0 not now")),
                arguments("MAIL", Action.drop()),
                arguments("RCPT", Action.drop()),
                arguments("RCPT", Action.reply("451 4.7.1 greylisted")),
                arguments("RCPT", Action.replyThenDrop("421 4.3.2 busy")),
                arguments("DATA", Action.drop()),
                arguments("DATA", Action.reply("452 4.3.1 insufficient storage")),
                arguments("BODY", Action.earlyReply("452 4.3.1 insufficient storage")),
                arguments("BODY", Action.reply("452 4.3.1 insufficient storage")));
    }

    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("troubleOnTheFirstHop")
    void nextMxShouldBeTriedWhenTheFirstIsInTrouble(String step, Action trouble) {
        try (var broken = ScriptedSmtpPeer.builder()
                .address("127.0.0.4")
                .port(first.port())
                .always(step, trouble)
                .start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.2");

            assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
            assertThat(first.messages()).hasSize(1);
            assertThat(broken.messages()).isEmpty();
        }
    }

    @ParameterizedTest(name = "{0} with {1}")
    @CsvSource({"RCPT, PIPELINING", "RCPT, 8BITMIME", "DATA, PIPELINING", "DATA, 8BITMIME", "BODY, PIPELINING"})
    void smartHostWithoutRoomShouldNotKeepMailFromTheNextOne(String step, String extension) {
        try (var full = ScriptedSmtpPeer.builder()
                .extensions(extension)
                .always(step, Action.reply("452 4.3.1 insufficient storage"))
                .start()) {
            var connector = connector()
                    .to(
                            new SmartHost(full.address(), full.port(), 10, 1),
                            new SmartHost("127.0.0.2", first.port(), 20, 1))
                    .build();

            for (int i = 0; i < 5; i++) {
                assertThat(outbound.send(connector, Outbound.message(address("x@d.test"), address("y@d.test")))
                                .outcomes()
                                .values())
                        .hasSize(2)
                        .hasOnlyElementsOfType(Delivered.class);
            }
            assertThat(first.messages()).hasSize(5);
            assertThat(full.messages()).isEmpty();
        }
    }

    @Test
    void refusalsOfAllHopsShouldDeferWithTheLast() {
        try (var full = ScriptedSmtpPeer.builder()
                        .always("DATA", Action.reply("452 4.3.1 insufficient storage"))
                        .start();
                var grey = ScriptedSmtpPeer.builder()
                        .address("127.0.0.3")
                        .always("RCPT", Action.reply("451 4.7.1 greylisted"))
                        .start()) {
            RecipientOutcome outcome = outbound.send(connector()
                    .to(
                            new SmartHost(full.address(), full.port(), 10, 1),
                            new SmartHost(grey.address(), grey.port(), 20, 1),
                            new SmartHost("127.0.0.9", full.port(), 30, 1))
                    .build());

            assertDeferred(outcome, "4.7.1", "greylisted");
            assertThat(outcome.hop().orElseThrow().address()).isEqualTo("127.0.0.3");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"RCPT", "DATA", "BODY"})
    void permanentRefusalShouldStand(String step) {
        try (var strict = ScriptedSmtpPeer.builder()
                .always(step, Action.reply("554 5.7.1 not from you"))
                .start()) {
            var connector = connector()
                    .to(
                            new SmartHost(strict.address(), strict.port(), 10, 1),
                            new SmartHost("127.0.0.2", first.port(), 20, 1))
                    .build();

            assertFailed(outbound.send(connector), "5.7.1", "not from you");
            assertThat(first.sessions()).isEmpty();
        }
    }

    @Test
    void permanentRefusalByTheNextHopShouldStandToo() {
        try (var full = ScriptedSmtpPeer.builder()
                        .address("127.0.0.4")
                        .port(first.port())
                        .always("BODY", Action.reply("452 4.3.1 insufficient storage"))
                        .start();
                var knowing = second().when("RCPT", "bad@", Action.reply("550 5.1.1 unknown"))
                        .start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.3");

            var outcomes = outbound.send(BY_MX, Outbound.message(address("bad@d.test"), address("good@d.test")))
                    .outcomes();

            assertThat(outcomes.get(address("bad@d.test"))).isInstanceOf(Failed.class);
            assertThat(outcomes.get(address("good@d.test"))).isInstanceOf(Delivered.class);
            assertThat(full.messages()).isEmpty();
            assertThat(knowing.messages()).hasSize(1);
        }
    }

    @Test
    void refusalForNowShouldStandWhereTheHopTakesTheMessageForOthers() {
        try (var busy = ScriptedSmtpPeer.builder()
                .address("127.0.0.4")
                .port(first.port())
                .when("RCPT", "full@", Action.reply("452 4.2.2 mailbox full"))
                .start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.2");

            var outcomes = outbound.send(BY_MX, Outbound.message(address("full@d.test"), address("good@d.test")))
                    .outcomes();

            assertDeferred(outcomes.get(address("full@d.test")), "4.2.2", "mailbox full");
            assertThat(outcomes.get(address("good@d.test"))).isInstanceOf(Delivered.class);
            assertThat(busy.messages()).hasSize(1);
            assertThat(first.sessions()).isEmpty();
        }
    }

    @Test
    void hopAfterARefusalThatMayHaveTheMessageShouldBeTheLast() {
        try (var full = ScriptedSmtpPeer.builder()
                        .address("127.0.0.4")
                        .port(first.port())
                        .always("DATA", Action.reply("452 4.3.1 insufficient storage"))
                        .start();
                var broken = second().always("BODY", Action.drop()).start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test").mx("d.test", 30, "c.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.3").a("c.test", "127.0.0.2");

            assertDeferred(sendTo("x@d.test"), "4.4.2", "may have been accepted");
            assertThat(full.sessions()).hasSize(1);
            assertThat(broken.sessions()).hasSize(1);
            assertThat(first.sessions()).isEmpty();
        }
    }

    @Test
    void noMoreThanThreeMxHostsShouldBeAskedForARecipientThatAllRefuse() {
        try (var grey = ScriptedSmtpPeer.builder()
                .address("127.0.0.3")
                .port(first.port())
                .always("RCPT", Action.reply("451 4.7.1 greylisted"))
                .start()) {
            for (int i = 1; i <= 5; i++) {
                dns.mx("d.test", 10 * i, "mx" + i + ".test").a("mx" + i + ".test", "127.0.0.3");
            }

            assertDeferred(sendTo("x@d.test"), "4.7.1", "greylisted");
            assertThat(grey.sessions().stream()
                            .flatMap(session -> session.commands().stream())
                            .filter(command -> command.startsWith("RCPT")))
                    .hasSize(3);
        }
    }

    @Test
    void nextMxShouldNotBeTriedWhenTheFirstMayHaveTheMessage() {
        try (var broken = ScriptedSmtpPeer.builder()
                .address("127.0.0.4")
                .port(first.port())
                .always("BODY", Action.drop())
                .start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.2");

            assertThat(sendTo("x@d.test")).isInstanceOf(Deferred.class);
            assertThat(broken.sessions()).hasSize(1);
            assertThat(first.sessions()).isEmpty();
        }
    }

    @Test
    void recipientsAlreadyRefusedShouldNotGoToTheNextMx() {
        try (var half = ScriptedSmtpPeer.builder()
                .address("127.0.0.4")
                .port(first.port())
                .when("RCPT", "bad@", Action.reply("550 5.1.1 unknown"))
                .always("DATA", Action.drop())
                .start()) {
            dns.mx("d.test", 10, "a.test").mx("d.test", 20, "b.test");
            dns.a("a.test", "127.0.0.4").a("b.test", "127.0.0.2");

            var outcomes = outbound.send(BY_MX, Outbound.message(address("bad@d.test"), address("good@d.test")))
                    .outcomes();
            assertThat(outcomes.get(address("bad@d.test"))).isInstanceOf(Failed.class);
            assertThat(outcomes.get(address("good@d.test"))).isInstanceOf(Delivered.class);
            assertThat(first.messages().get(0).recipients()).containsExactly("RCPT TO:<good@d.test>");
            assertThat(half.messages()).isEmpty();
        }
    }

    @Test
    void everyAddressOfAHostShouldBeTried() {
        dns.mx("d.test", 10, "a.test")
                .a("a.test", "127.0.0.9")
                .aaaa("a.test", "::1")
                .a("a.test", "127.0.0.2");

        assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
        assertThat(first.messages()).hasSize(1);
    }

    @Test
    void aliasedMxHostAndDomainShouldBeFollowed() {
        dns.cname("alias.test", "d.test").mx("d.test", 10, "www.a.test");
        dns.cname("www.a.test", "a.test").a("a.test", "127.0.0.2");

        assertThat(sendTo("x@alias.test")).isInstanceOf(Delivered.class);
    }

    @Test
    void addressOfTheDomainShouldBeUsedWhenItHasNoMx() {
        dns.a("d.test", "127.0.0.2");

        assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
    }

    @Test
    void addressLiteralShouldBeUsed() {
        assertThat(sendTo("x@[127.0.0.2]")).isInstanceOf(Delivered.class);
        assertThat(first.messages().get(0).recipients()).containsExactly("RCPT TO:<x@[127.0.0.2]>");
    }

    @Test
    void recipientsOfSeveralDomainsShouldGoTheirOwnWays() {
        try (var second = second().start()) {
            dns.mx("d.test", 10, "a.test").a("a.test", "127.0.0.2");
            dns.mx("e.test", 10, "b.test").a("b.test", "127.0.0.3");
            dns.nullMx("f.test");

            var outcomes = outbound.send(
                            BY_MX, Outbound.message(address("x@d.test"), address("y@e.test"), address("z@f.test")))
                    .outcomes();
            assertThat(outcomes.get(address("x@d.test"))).isInstanceOf(Delivered.class);
            assertThat(outcomes.get(address("y@e.test"))).isInstanceOf(Delivered.class);
            assertThat(outcomes.get(address("z@f.test"))).isInstanceOf(Failed.class);
            assertThat(second.messages().get(0).recipients()).containsExactly("RCPT TO:<y@e.test>");
        }
    }

    @Test
    void domainThatDoesNotExistShouldFail() {
        assertFailed(sendTo("x@nowhere.test"), "5.1.2", "domain 'nowhere.test' does not exist");
    }

    @Test
    void nullMxShouldFail() {
        dns.nullMx("d.test").a("d.test", "127.0.0.2");

        assertFailed(sendTo("x@d.test"), "5.1.10", "domain 'd.test' accepts no mail (null MX)");
    }

    @Test
    void ownHostAsBestMxShouldFail() {
        dns.mx("d.test", 10, "us.test").mx("d.test", 20, "a.test").a("a.test", "127.0.0.2");

        assertFailed(sendTo("x@d.test"), "5.4.6", "mail would loop");
        assertThat(first.sessions()).isEmpty();
    }

    @Test
    void ownHostWithoutMxShouldFail() {
        dns.a("us.test", "127.0.0.2");

        assertFailed(sendTo("x@us.test"), "5.4.6", "mail would loop");
        assertThat(first.sessions()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = TlsLevel.class,
            names = {"OPPORTUNISTIC", "DANE"})
    void aliasOfOwnHostAsBestMxShouldFail(TlsLevel level) {
        dns.mx("d.test", 10, "alias.test").mx("d.test", 20, "a.test").a("a.test", "127.0.0.2");
        dns.cname("alias.test", "other.test").cname("other.test", "us.test").a("us.test", "127.0.0.2");

        assertFailed(
                outbound.send(connector().tls(level).build(), Outbound.message(address("x@d.test")))
                        .outcomes()
                        .get(address("x@d.test")),
                "5.4.6",
                "MX host 'alias.test' of 'd.test' is an alias of 'us.test', which is this server: mail would loop");
        assertThat(first.sessions()).isEmpty();
    }

    @Test
    void aliasOfOwnHostWithoutMxShouldFail() {
        dns.cname("d.test", "us.test").a("us.test", "127.0.0.2");

        assertFailed(sendTo("x@d.test"), "5.4.6", "domain 'd.test' is this server: mail would loop");
        assertThat(first.sessions()).isEmpty();
    }

    @Test
    void aliasOfOwnHostAsBackupMxShouldNotBeUsed() {
        dns.mx("d.test", 10, "a.test").mx("d.test", 20, "alias.test").mx("d.test", 30, "b.test");
        dns.cname("alias.test", "us.test").a("us.test", "127.0.0.2").a("b.test", "127.0.0.2");

        // a better host has no address now
        assertDeferred(sendTo("x@d.test"), "4.4.4", "host 'a.test' has no address");
        dns.mx("e.test", 10, "c.test").mx("e.test", 20, "alias.test").a("c.test", "127.0.0.2");
        assertThat(sendTo("x@e.test")).isInstanceOf(Delivered.class);
        assertThat(first.messages()).hasSize(1);
    }

    @Test
    void smartHostMayBeAnAliasOfThisHost() {
        dns.cname("filter.test", "us.test").a("us.test", "127.0.0.2");

        assertThat(outbound.send(connector()
                        .to(new SmartHost("filter.test", first.port(), 10, 1))
                        .build()))
                .isInstanceOf(Delivered.class);
    }

    @Test
    void domainWithNeitherMxNorAddressShouldFail() {
        dns.txt("d.test", "v=spf1 -all");

        assertFailed(sendTo("x@d.test"), "5.1.2", "domain 'd.test' has neither MX records nor an address");
    }

    @Test
    void domainWithoutMxWhoseAddressCannotBeLookedUpShouldDefer() {
        dns.txt("d.test", "v=spf1 -all").silent("d.test", "AAAA");

        assertDeferred(sendTo("x@d.test"), "4.4.4", "host 'd.test' has no address");
    }

    @Test
    void ownHostAsBackupMxShouldNotBeUsed() {
        dns.mx("d.test", 10, "a.test").mx("d.test", 20, "us.test").a("a.test", "127.0.0.2");

        assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
    }

    @Test
    void failingNameServerShouldDefer() {
        dns.servfail("d.test");

        assertDeferred(sendTo("x@d.test"), "4.4.3", "MX records of 'd.test' cannot be looked up");
    }

    @Test
    void silentNameServerShouldDefer() {
        dns.silent("d.test");

        assertDeferred(sendTo("x@d.test"), "4.4.3", "MX records of 'd.test' cannot be looked up");
    }

    @Test
    void mxHostsWithoutAddressShouldDefer() {
        dns.mx("d.test", 10, "gone.test");

        assertDeferred(sendTo("x@d.test"), "4.4.4", "host 'gone.test' has no address");
    }

    @Test
    void mxHostsThatCannotBeLookedUpShouldDefer() {
        dns.mx("d.test", 10, "a.test").servfail("a.test");

        assertDeferred(sendTo("x@d.test"), "4.4.3", "host 'a.test' cannot be looked up");
    }

    @Test
    void answersShouldBeCachedWhetherPositiveOrNegative() {
        dns.mx("d.test", 10, "a.test").a("a.test", "127.0.0.2");
        sendTo("x@d.test");
        sendTo("x@nowhere.test");
        int asked = dns.queries().size();
        sendTo("x@d.test");
        sendTo("x@nowhere.test");

        assertThat(dns.queries()).hasSize(asked);
    }

    @Test
    void clearestReasonShouldBeToldWhenAllHopsFail() {
        try (var plain = ScriptedSmtpPeer.builder().start()) {
            var connector = connector()
                    .to(
                            new SmartHost(plain.address(), plain.port(), 10, 1),
                            new SmartHost("127.0.0.9", plain.port(), 20, 1))
                    .tls(TlsLevel.ENCRYPT)
                    .build();

            assertDeferred(outbound.send(connector), "4.7.4", "did not offer STARTTLS");
        }
    }

    @Test
    void smartHostsShouldBeTriedByPriorityAndNamesNotLookedUpAsMx() {
        dns.a("a.test", "127.0.0.9").mx("a.test", 10, "trap.test").a("b.test", "127.0.0.2");
        var connector = connector()
                .to(new SmartHost("b.test", first.port(), 20, 1), new SmartHost("a.test", first.port(), 10, 1))
                .build();

        RecipientOutcome outcome = outbound.send(connector);

        assertThat(outcome).isInstanceOf(Delivered.class);
        assertThat(outcome.hop().orElseThrow().host()).isEqualTo("b.test");
        assertThat(dns.queries()).contains("a.test/A").noneMatch(query -> query.endsWith("/MX"));
    }

    @Test
    void smartHostsOfOnePriorityShouldShareByWeight() {
        try (var second = second().start()) {
            var connector = connector()
                    .to(
                            new SmartHost("127.0.0.2", first.port(), 10, 9),
                            new SmartHost("127.0.0.3", first.port(), 10, 1))
                    .build();
            for (int i = 0; i < 200; i++) {
                assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            }
            // mean 180, standard deviation 4.2
            assertThat(first.messages().size()).isBetween(150, 199);
            assertThat(first.messages().size() + second.messages().size()).isEqualTo(200);
        }
    }

    @Test
    void deadSmartHostShouldBeLeftAloneAfterAFewFailures() {
        try (var silent =
                ScriptedSmtpPeer.builder().always("CONNECT", Action.drop()).start()) {
            var connector = connector()
                    .to(
                            new SmartHost(silent.address(), silent.port(), 10, 1),
                            new SmartHost("127.0.0.2", first.port(), 20, 1))
                    .build();
            for (int i = 0; i < 20; i++) {
                assertThat(outbound.send(connector)).isInstanceOf(Delivered.class);
            }

            assertThat(silent.sessions()).hasSizeBetween(3, 5);
            assertThat(first.messages()).hasSize(20);
        }
    }

    private static void assertFailed(RecipientOutcome outcome, String status, String reason) {
        assertThat(outcome).isInstanceOf(Failed.class);
        assertThat(((Failed) outcome).enhancedStatus()).isEqualTo(status);
        assertThat(((Failed) outcome).reason()).contains(reason);
    }

    private static void assertDeferred(RecipientOutcome outcome, String status, String reason) {
        assertThat(outcome).isInstanceOf(Deferred.class);
        assertThat(((Deferred) outcome).enhancedStatus()).isEqualTo(status);
        assertThat(((Deferred) outcome).reason()).contains(reason);
    }

    @Test
    void ipv6AddressShouldBeUsedWhenTheHostHasNoOther() {
        try (var six =
                ScriptedSmtpPeer.builder().address("::1").port(first.port()).start()) {
            dns.mx("d.test", 10, "a.test").aaaa("a.test", "::1");

            RecipientOutcome outcome = sendTo("x@d.test");

            assertThat(outcome).isInstanceOf(Delivered.class);
            assertThat(outcome.hop().orElseThrow()).hasToString("a.test[::1]:" + six.port());
            assertThat(six.messages()).hasSize(1);
        } catch (UncheckedIOException e) {
            abort("no IPv6 here: " + e.getMessage());
        }
    }

    @Test
    void ipv6AddressShouldNotBeWaitedForWhenIpv4Works() {
        dns.mx("d.test", 10, "a.test").a("a.test", "127.0.0.2");

        assertThat(sendTo("x@d.test")).isInstanceOf(Delivered.class);
        assertThat(dns.queries()).doesNotContain("a.test/AAAA");
    }
}
