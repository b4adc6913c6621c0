/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import com.google.common.base.Stopwatch;

import dev.mailflow.delivery.DeliveryConfig;
import dev.mailflow.delivery.DeliveryReport;
import dev.mailflow.delivery.RecipientOutcome;
import dev.mailflow.delivery.RecipientOutcome.Deferred;
import dev.mailflow.delivery.RecipientOutcome.Delivered;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.testing.BlackHole;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer;
import dev.mailflow.delivery.testing.ScriptedSmtpPeer.Action;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.policy.connector.OutboundConnector;

/** A host some of whose addresses take no connection: mail for it does not wait for them. */
class AddressFallbackTest {
    private static final OutboundConnector BY_MX = connector().build();
    private static final String DEAD = "127.0.0.2";
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(16);

    private final List<AutoCloseable> open = new ArrayList<>();
    private LocalDns dns;
    private BlackHole hole;
    private Outbound outbound;

    @BeforeEach
    void start() {
        hole = keep(BlackHole.at(DEAD, 0));
        dns = keep(LocalDns.start()).mx("d.test", 10, "mx.d.test").a("mx.d.test", DEAD);
        outbound = Outbound.start(config().build());
    }

    private DeliveryConfig.Builder config() {
        return Outbound.config()
                .resolver(dns.resolver())
                .mxPort(hole.port())
                .timeouts(SmtpTimeouts.DEFAULT.atMost(CONNECT_TIMEOUT));
    }

    @AfterEach
    void stop() throws Exception {
        outbound.close();
        for (AutoCloseable each : open) {
            each.close();
        }
    }

    private <T extends AutoCloseable> T keep(T each) {
        open.add(each);
        return each;
    }

    private ScriptedSmtpPeer.Builder peer(String address) {
        return ScriptedSmtpPeer.builder().address(address).port(hole.port());
    }

    private RecipientOutcome send() {
        return outbound.send(BY_MX, Outbound.message(address("x@d.test")))
                .outcomes()
                .get(address("x@d.test"));
    }

    private static String addressOf(RecipientOutcome outcome) throws Exception {
        return InetAddress.getByName(outcome.hop().orElseThrow().address()).getHostAddress();
    }

    @ParameterizedTest
    @ValueSource(strings = {"::1", "127.0.0.3"})
    void deadAddressShouldNotBeWaitedFor(String living) throws Exception {
        ScriptedSmtpPeer peer = keep(peer(living).start());
        if (living.contains(":")) {
            dns.aaaa("mx.d.test", living);
        } else {
            // of two addresses of one family either may be the first
            dns.a("mx.d.test", living);
        }
        Stopwatch watch = Stopwatch.createStarted();

        RecipientOutcome outcome = send();

        assertThat(outcome).isInstanceOf(Delivered.class);
        assertThat(addressOf(outcome)).isEqualTo(InetAddress.getByName(living).getHostAddress());
        assertThat(watch.elapsed()).isLessThan(CONNECT_TIMEOUT.dividedBy(2));
        assertThat(peer.messages()).hasSize(1);
    }

    @Test
    void deadAddressShouldCostOnlyTheFirstMailItsPatience() {
        ScriptedSmtpPeer peer = keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");
        send();
        peer.dropConnections();
        Stopwatch watch = Stopwatch.createStarted();

        for (int i = 0; i < 100; i++) {
            assertThat(send()).isInstanceOf(Delivered.class);
        }

        // a hundred times the patience were 25 s
        assertThat(watch.elapsed()).isLessThan(Duration.ofSeconds(20));
        assertThat(peer.messages()).hasSize(101);
    }

    @Test
    void manyMailsAtOnceShouldNotWaitForTheDeadAddressEither() {
        ScriptedSmtpPeer peer = keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");
        Stopwatch watch = Stopwatch.createStarted();

        List<CompletableFuture<DeliveryReport>> all = IntStream.range(0, 50)
                .mapToObj(i -> outbound.transport()
                        .send(BY_MX, BY_MX.tls(), Outbound.message(address("x" + i + "@d.test")))
                        .toCompletableFuture())
                .toList();
        all.forEach(CompletableFuture::join);

        assertThat(all).allSatisfy(report -> assertThat(report.join().outcomes().values())
                .hasOnlyElementsOfType(Delivered.class));
        assertThat(watch.elapsed()).isLessThan(CONNECT_TIMEOUT.dividedBy(2));
        assertThat(peer.messages()).hasSize(50);
        assertThat(peer.mostOpenConnections())
                .isLessThanOrEqualTo(BY_MX.limits().perDestination());
    }

    @Test
    void familiesShouldTakeTurns() {
        // were they not, two more dead addresses would be tried before
        keep(BlackHole.at("127.0.0.3", hole.port()));
        keep(BlackHole.at("127.0.0.4", hole.port()));
        ScriptedSmtpPeer peer = keep(peer("::1").start());
        dns.a("mx.d.test", "127.0.0.3").a("mx.d.test", "127.0.0.4").aaaa("mx.d.test", "::1");
        Duration patience = Duration.ofSeconds(2);
        Outbound patient =
                keep(Outbound.start(config().addressPatience(patience).build()));
        Stopwatch watch = Stopwatch.createStarted();

        assertThat(patient.send(BY_MX, Outbound.message(address("ann@d.test")))
                        .outcomes()
                        .values())
                .hasOnlyElementsOfType(Delivered.class);

        assertThat(watch.elapsed()).isLessThan(patience.multipliedBy(3));
        assertThat(peer.messages()).hasSize(1);
    }

    @Test
    void addressThatAnswersShouldBeWaitedForHoweverSlowItsGreeting() {
        hole.close();
        ScriptedSmtpPeer slow = keep(peer(DEAD)
                .always("CONNECT", Action.delay(Duration.ofSeconds(1)))
                .start());
        ScriptedSmtpPeer other = keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");

        assertThat(send()).isInstanceOf(Delivered.class);

        assertThat(slow.messages()).hasSize(1);
        assertThat(other.sessions()).isEmpty();
    }

    @Test
    void mailThatWaitsForAFreeConnectionShouldNotRunToAnotherAddress() {
        hole.close();
        ScriptedSmtpPeer first = keep(
                peer(DEAD).always("BODY", Action.delay(Duration.ofMillis(600))).start());
        ScriptedSmtpPeer other = keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");
        OutboundConnector narrow =
                connector().limits(10, 1, 100, Duration.ofSeconds(5)).build();

        List<CompletableFuture<DeliveryReport>> all = IntStream.range(0, 3)
                .mapToObj(i -> outbound.transport()
                        .send(narrow, narrow.tls(), Outbound.message(address("x" + i + "@d.test")))
                        .toCompletableFuture())
                .toList();
        all.forEach(CompletableFuture::join);

        assertThat(first.messages()).hasSize(3);
        assertThat(first.mostOpenConnections()).isEqualTo(1);
        assertThat(other.sessions()).isEmpty();
    }

    @Test
    void connectionOfTheLoserShouldBeClosedWithoutAMail() throws Exception {
        hole.close();
        String late = DEAD;
        // the address takes connections only after the other one has won
        BlackHole forAWhile = BlackHole.at(late, hole.port());
        ScriptedSmtpPeer winner = keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");

        assertThat(send()).isInstanceOf(Delivered.class);
        forAWhile.close();
        ScriptedSmtpPeer loser = keep(peer(late).start());

        // the kernel asks again after one second, and after three
        await().atMost(Duration.ofSeconds(30)).until(() -> outbound.transport().connections() <= 1);
        assertThat(loser.messages()).isEmpty();
        assertThat(loser.sessions())
                .allSatisfy(session -> assertThat(session.commands()).noneMatch(line -> line.startsWith("MAIL")));
        await().until(() -> loser.openConnections() == 0);
        assertThat(winner.messages()).hasSize(1);
    }

    @Test
    void silentNameServerForIpv6ShouldNotKeepMailFromOtherAddresses() {
        ScriptedSmtpPeer peer = keep(peer("127.0.0.3").start());
        dns.a("mx.d.test", "127.0.0.3").silent("mx.d.test", "AAAA");
        Stopwatch watch = Stopwatch.createStarted();

        assertThat(send()).isInstanceOf(Delivered.class);

        assertThat(watch.elapsed()).isLessThan(CONNECT_TIMEOUT.dividedBy(2));
        assertThat(peer.messages()).hasSize(1);
    }

    /** The patience with the name server of the first host ends while the addresses of the second one are looked up. */
    @Test
    void addressShouldNotBeTakenForThatOfTheHostBefore() {
        SettableClock clock = new SettableClock(Instant.parse("2026-11-23T12:00:00Z"));
        Outbound timed = keep(Outbound.start(config().clock(clock).build()));
        keep(peer("::1").start());
        dns.aaaa("mx.d.test", "::1");
        timed.send(BY_MX, Outbound.message(address("x@d.test")));
        // from now on the address is tried after those for IPv6, which are waited for; what was looked up is forgotten
        hole.close();
        ScriptedSmtpPeer second = keep(peer(DEAD).start());
        clock.forward(Duration.ofMinutes(2));
        dns.forget("mx.d.test").a("mx.d.test", DEAD).silent("mx.d.test", "AAAA");
        dns.mx("e.test", 10, "gone.e.test").mx("e.test", 20, "mx.d.test").a("gone.e.test", "127.0.0.9");

        RecipientOutcome outcome = timed.send(BY_MX, Outbound.message(address("x@e.test")))
                .outcomes()
                .get(address("x@e.test"));

        assertThat(outcome).isInstanceOf(Delivered.class);
        assertThat(outcome.hop().orElseThrow().host()).isEqualTo("mx.d.test");
        assertThat(second.messages()).hasSize(1);
    }

    @Test
    void hostWithDeadAddressesOnlyShouldDeferNamingOne() {
        dns.aaaa("mx.d.test", "::1");

        RecipientOutcome outcome = send();

        assertThat(outcome).isInstanceOfSatisfying(Deferred.class, deferred -> assertThat(deferred.enhancedStatus())
                .startsWith("4.4."));
        await().until(() -> outbound.transport().connections() == 0);
    }
}
