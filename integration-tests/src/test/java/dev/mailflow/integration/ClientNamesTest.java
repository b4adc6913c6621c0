/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

import org.apache.james.protocols.netty.ProtocolMDCContextFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.testing.LocalDns;
import dev.mailflow.gateway.smtp.ClientNames;
import dev.mailflow.integration.DoorClient.Way;
import dev.mailflow.policy.event.MailFlowEvent;

/** The Received field tells the client's name if DNS confirms it, and no client waits for DNS before the greeting. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ClientNamesTest {
    private static final String PROXY = "127.0.9.1";
    private static final Pattern RECEIVED_FROM = Pattern.compile("Received: from (\\S+) \\(EHLO client.test\\)");

    private LocalDns dns;
    private GatewayScenario scenario;
    private int port;
    private final AtomicInteger users = new AtomicInteger();

    @BeforeAll
    void start(@TempDir Path directory) throws Exception {
        dns = LocalDns.start()
                .ptr("192.0.2.10", "mail.fabrikam.com")
                .a("mail.fabrikam.com", "192.0.2.99")
                .a("mail.fabrikam.com", "192.0.2.10")
                .ptr("192.0.2.11", "mail.woodgrove.com")
                .a("mail.woodgrove.com", "192.0.2.99")
                .ptr("192.0.2.12", "nowhere.woodgrove.com")
                .ptr("192.0.2.13", "mail.fabrikam.com (trusted\\013\\010X: y)")
                .a("mail.fabrikam.com (trusted\\013\\010X: y)", "192.0.2.13")
                .cname("14.2.0.192.in-addr.arpa", "14.0-127.2.0.192.in-addr.arpa")
                .ptr("2001:db8::25", "six.fabrikam.com")
                .aaaa("six.fabrikam.com", "2001:db8::25")
                .servfail("15.2.0.192.in-addr.arpa")
                .silent("16.2.0.192.in-addr.arpa");
        scenario = GatewayScenario.in(directory)
                .proxies("127.0.9.0/30")
                .policy(
                        """
                        <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
                        <transportRules>
                          <rule name="by-name"><sieve><![CDATA[
                            require ["environment", "vnd.mailflow"];
                            if environment :matches "remote-host" "*.dialup.test" { setscl 6; }
                          ]]></sieve></rule>
                        </transportRules>""")
                .clientNames(new ClientNames(new DnsLookup(dns.resolver(), false, Clock.systemUTC())))
                .start();
        port = scenario.gateway().port("smtp");
    }

    @AfterAll
    void stop() {
        scenario.close();
        dns.close();
    }

    private String receivedFrom(Way way, String user) throws Exception {
        String address = user + "@contoso.com";
        scenario.gateway().addUser(address, "secret");
        try (DoorClient client = way.open(port)) {
            assertThat(client.deliver("<a@example.test>", address, "Subject: 1\r\n\r\n"))
                    .startsWith("250");
        }
        List<String> mails = GatewayScenario.await().until(() -> scenario.mailbox(address), found -> !found.isEmpty());
        assertThat(mails).hasSize(1);
        var matcher = RECEIVED_FROM.matcher(mails.get(0));
        assertThat(matcher.find()).as(mails.get(0)).isTrue();
        return matcher.group(1);
    }

    /** A name that comes too late on a busy machine is known the next time. */
    private void assertNamed(Way way, String name) {
        GatewayScenario.await().untilAsserted(() -> assertThat(receivedFrom(way, "user" + users.incrementAndGet()))
                .isEqualTo(name));
    }

    @ParameterizedTest
    @CsvSource({
        "192.0.2.10, mail.fabrikam.com",
        "2001:db8::25, six.fabrikam.com",
        // the name has another address, none, or is none
        "192.0.2.11, 192.0.2.11",
        "192.0.2.12, 192.0.2.12",
        "192.0.2.13, 192.0.2.13",
        // no name, an alias to no name, no answer
        "192.0.2.20, 192.0.2.20",
        "192.0.2.14, 192.0.2.14",
        "192.0.2.15, 192.0.2.15",
        "192.0.2.16, 192.0.2.16"
    })
    void receivedShouldNameTheClientThatTheProxyNamesAsDnsConfirmsIt(String client, String name) throws Exception {
        Way way = Way.plain(PROXY).proxying(DoorClient.proxyVersion2(client));
        assertNamed(way, name);
    }

    @Test
    void loopbackShouldBeLocalhostWithoutAQuestion() throws Exception {
        assertThat(receivedFrom(Way.plain("127.0.0.1"), "loopback")).isEqualTo("localhost");
        assertThat(receivedFrom(Way.plain("127.0.5.9"), "other")).isEqualTo("127.0.5.9");
        assertThat(dns.queries()).noneMatch(query -> query.endsWith(".127.in-addr.arpa/PTR"));
    }

    @Test
    void sameClientShouldBeAskedForOnce() throws Exception {
        dns.ptr("192.0.2.30", "again.fabrikam.com").a("again.fabrikam.com", "192.0.2.30");
        Way way = Way.plain(PROXY).proxying(DoorClient.proxyVersion2("192.0.2.30"));
        assertNamed(way, "again.fabrikam.com");
        assertNamed(way, "again.fabrikam.com");
        assertThat(dns.queries()).containsOnlyOnce("30.2.0.192.in-addr.arpa/PTR");
    }

    @Test
    void transportRuleShouldKnowTheName() throws Exception {
        dns.ptr("192.0.2.40", "host40.dialup.test").a("host40.dialup.test", "192.0.2.40");
        Way way = Way.plain(PROXY).proxying(DoorClient.proxyVersion2("192.0.2.40"));
        assertNamed(way, "host40.dialup.test");
        assertThat(scenario.events(MailFlowEvent.RuleHit.class)).isNotEmpty();
    }

    @Test
    void jamesShouldNotLookUpClientsForItsLog() {
        // its look-up would be before the greeting
        assertThat(ProtocolMDCContextFactory.ADD_HOST_TO_MDC).isFalse();
    }
}
