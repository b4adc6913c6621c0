/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.transport;

import static dev.mailflow.delivery.testing.Connectors.address;
import static dev.mailflow.delivery.testing.Connectors.connector;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.delivery.testing.Outbound;
import dev.mailflow.delivery.testing.SettableClock;
import dev.mailflow.delivery.testing.WebServer;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.connector.TlsRequirement;
import dev.mailflow.policy.testing.TestCertificates;

/** Which MTA-STS policies are fetched again, and how many at a time. */
class PolicyRenewalTest {
    private static final int DOMAINS = 40;
    private static final int AT_A_TIME = 10;
    private static final String PAGE = "/.well-known/mta-sts.txt";
    private static final TestCertificates.Authority CA = TestCertificates.authority("Test Web CA");
    private static final Instant NOW = Instant.now();

    private final SettableClock clock = new SettableClock(NOW);
    private final ObjectMapper json = new ObjectMapper();

    @TempDir
    Path state;

    private LocalDns dns;
    private WebServer web;
    private Outbound outbound;

    @BeforeEach
    void start() {
        String[] hosts = IntStream.range(0, DOMAINS)
                .mapToObj(i -> "mta-sts." + domain(i))
                .toArray(String[]::new);
        dns = LocalDns.start();
        web = WebServer.start(CA.leaf(hosts).issue());
        for (int i = 0; i < DOMAINS; i++) {
            dns.a("mta-sts." + domain(i), "127.0.0.1")
                    .mx(domain(i), 10, "mx." + domain(i))
                    .txt("_mta-sts." + domain(i), "v=STSv1; id=1;");
            web.page("mta-sts." + domain(i) + PAGE, 200, "text/plain", text(i));
        }
    }

    @AfterEach
    void stop() {
        if (outbound != null) {
            outbound.close();
        }
        web.close();
        dns.close();
    }

    private static String domain(int i) {
        return "d" + i + ".test";
    }

    private static String text(int i) {
        return "version: STSv1\nmode: enforce\nmx: mx." + domain(i) + "\nmax_age: 604800\n";
    }

    /** As if they had been fetched three days ago, those with lower numbers first; mail has asked for the last ones. */
    private void remember(int domains, int used) throws Exception {
        Map<String, Object> kept = new TreeMap<>();
        for (int i = 0; i < domains; i++) {
            Map<String, Object> each = new TreeMap<>();
            each.put("id", "1");
            each.put("mode", "enforce");
            each.put("maxAge", 604_800);
            each.put("mx", List.of("mx." + domain(i)));
            each.put("fetched", NOW.minus(Duration.ofDays(3)).getEpochSecond() + i);
            each.put("used", i >= domains - used);
            kept.put(domain(i), each);
        }
        json.writeValue(state.resolve("mta-sts.json").toFile(), kept);
        engine();
    }

    private void engine() {
        if (outbound != null) {
            outbound.close();
        }
        outbound = Outbound.start(Outbound.config()
                .httpsPort(web.port())
                .resolver(dns.resolver())
                .clock(clock)
                .webAuthorities(new TrustAnchors(Optional.of("file://conf/web.pem"), List.of(CA.certificate())))
                .stateDirectory(state)
                .build());
    }

    private Set<String> webServersLookedUp() {
        return dns.queries().stream()
                .filter(each -> each.startsWith("mta-sts."))
                .collect(Collectors.toSet());
    }

    private JsonNode written(int i) throws Exception {
        return json.readTree(Files.readString(state.resolve("mta-sts.json"))).path(domain(i));
    }

    @Test
    void fewShouldBeRenewedAtATimeHoweverManyAreDue() throws Exception {
        web.hold();
        remember(DOMAINS, DOMAINS);

        outbound.transport().tick();
        await().until(() -> web.asked().size() == AT_A_TIME);
        outbound.transport().tick();
        assertThat(webServersLookedUp()).hasSize(AT_A_TIME);

        web.release();
        await().until(() -> Set.copyOf(web.asked()).size() == DOMAINS);
    }

    @Test
    void renewalsShouldOutliveARestart() throws Exception {
        remember(3, 3);
        outbound.transport().tick();
        await().until(() -> {
            outbound.transport().tick();
            for (int i = 0; i < 3; i++) {
                if (written(i).path("fetched").asLong() != NOW.getEpochSecond()) {
                    return false;
                }
            }
            return true;
        });

        engine();

        assertThat(web.asked()).hasSize(3);
        assertThat(written(2).path("used").asBoolean(true)).isFalse();
    }

    @Test
    void policyThatNoMailHasAskedForSinceShouldNotBeRenewed() throws Exception {
        remember(2, 1);

        outbound.transport().tick();

        await().until(() -> web.asked().contains("mta-sts." + domain(1) + PAGE));
        // the unused one is older: it would have come first
        assertThat(webServersLookedUp()).allMatch(each -> each.startsWith("mta-sts." + domain(1)));
    }

    @Test
    void policyThatMailAsksForShouldBeRenewedAlsoAfterARestart() throws Exception {
        remember(2, 0);
        outbound.transport().tick();
        var recipient = address("x@" + domain(0));
        outbound.send(
                connector()
                        .tls(TlsRequirement.of(TlsLevel.OPPORTUNISTIC).heeding(true, false))
                        .build(),
                Outbound.message(recipient));

        engine();
        outbound.transport().tick();

        await().until(() -> web.asked().equals(List.of("mta-sts." + domain(0) + PAGE)));
    }
}
