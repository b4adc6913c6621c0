/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.directory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

import org.apache.james.core.MailAddress;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import com.google.common.base.Ticker;
import com.unboundid.ldap.listener.InMemoryDirectoryServer;
import com.unboundid.ldap.listener.InMemoryDirectoryServerConfig;
import com.unboundid.ldap.listener.InMemoryListenerConfig;

import dev.mailflow.directory.LdapDirectory.Patience;
import dev.mailflow.policy.Secret;
import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.LdapSettings;
import dev.mailflow.policy.hybrid.MailboxPlace;
import dev.mailflow.policy.testing.TestCertificates;

class LdapDirectoryTest {
    private static final String BASE = "dc=contoso,dc=com";
    private static final TestCertificates.Authority AUTHORITY = TestCertificates.authority("Directory Test CA");

    private final AtomicLong now = new AtomicLong();
    private final Ticker clock = new Ticker() {
        @Override
        public long read() {
            return now.get();
        }
    };
    private InMemoryDirectoryServer server;

    @BeforeEach
    void start() throws Exception {
        InMemoryDirectoryServerConfig config = new InMemoryDirectoryServerConfig(BASE);
        config.setSchema(null);
        config.addAdditionalBindCredentials("cn=gateway," + BASE, "s3cret");
        config.setListenerConfigs(
                InMemoryListenerConfig.createLDAPConfig("plain", 0),
                InMemoryListenerConfig.createLDAPSConfig(
                        "tls", null, 0, serverTls("localhost").getServerSocketFactory(), null),
                InMemoryListenerConfig.createLDAPSConfig(
                        "wrong", null, 0, serverTls("other.example").getServerSocketFactory(), null));
        server = new InMemoryDirectoryServer(config);
        server.add("dn: " + BASE, "objectClass: domain", "dc: contoso");
        person(
                "j",
                "mail: j@contoso.com",
                "proxyAddresses: SMTP:j@contoso.com",
                "proxyAddresses: smtp:jay@contoso.com");
        person(
                "d",
                "mail: d@contoso.com",
                "proxyAddresses: smtp:dee@contoso.com",
                "targetAddress: SMTP:d.real@contoso.mail.onmicrosoft.com");
        person("bad", "mail: bad@contoso.com", "targetAddress: X500:/o=contoso/cn=bad");
        person("two1", "mail: two@contoso.com");
        person("two2", "mail: two@contoso.com", "targetAddress: smtp:two@contoso.mail.onmicrosoft.com");
        server.startListening();
    }

    private void person(String name, String... attributes) throws Exception {
        String[] lines = new String[attributes.length + 3];
        lines[0] = "dn: cn=" + name + "," + BASE;
        lines[1] = "objectClass: person";
        lines[2] = "cn: " + name;
        System.arraycopy(attributes, 0, lines, 3, attributes.length);
        server.add(lines);
    }

    private static SSLContext serverTls(String name) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(AUTHORITY.leaf(name).issue().keyStore("server"), TestCertificates.PASSWORD.toCharArray());
        KeyManager[] managers = keys.getKeyManagers();
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers, null, null);
        return context;
    }

    @AfterEach
    void stop() {
        server.shutDown(true);
    }

    private LdapSettings settings(String host, int port, LdapSettings.Security security, TrustAnchors anchors) {
        return new LdapSettings(
                host,
                port,
                security,
                anchors,
                BASE,
                LdapSettings.DEFAULT_FILTER,
                Optional.of("cn=gateway," + BASE),
                Optional.of(Secret.of("s3cret")),
                2,
                Duration.ofSeconds(5),
                Duration.ofMinutes(5),
                Duration.ofSeconds(30),
                1000);
    }

    private LdapDirectory directory() {
        return new LdapDirectory(
                settings("localhost", server.getListenPort("plain"), LdapSettings.Security.PLAIN, TrustAnchors.jdk()),
                clock);
    }

    private static MailboxPlace find(LdapDirectory directory, String address) throws Exception {
        return directory.find(new MailAddress(address), Patience.WAITS);
    }

    @ParameterizedTest
    @CsvSource({
        "j@contoso.com, Here",
        "jay@contoso.com, Here",
        "J@CONTOSO.com, Here",
        "x@contoso.com, Nowhere",
        "*@contoso.com, Nowhere"
    })
    void entryWithoutTargetShouldBeHereUnderEachOfItsAddresses(String address, String place) throws Exception {
        try (LdapDirectory directory = directory()) {
            assertThat(find(directory, address).getClass().getSimpleName()).isEqualTo(place);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"d@contoso.com", "dee@contoso.com"})
    void entryWithTargetShouldLiveThere(String address) throws Exception {
        try (LdapDirectory directory = directory()) {
            assertThat(find(directory, address)).isInstanceOfSatisfying(MailboxPlace.Away.class, away -> assertThat(
                            away.target().map(MailAddress::asString))
                    .contains("d.real@contoso.mail.onmicrosoft.com"));
        }
    }

    @ParameterizedTest
    @CsvSource({"bad@contoso.com, expected one SMTP address", "two@contoso.com, several entries"})
    void answerThatCannotBeBelievedShouldMakeMailWait(String address, String reason) {
        try (LdapDirectory directory = directory()) {
            assertThatThrownBy(() -> find(directory, address))
                    .isInstanceOf(DirectoryUnavailableException.class)
                    .hasMessageContaining(reason);
        }
    }

    @Test
    void deadServerShouldMakeMailWaitUntilItAnswersAgain() throws Exception {
        try (LdapDirectory directory = directory()) {
            assertThat(find(directory, "j@contoso.com")).isInstanceOf(MailboxPlace.Here.class);
            int port = server.getListenPort("plain");
            server.shutDown(true);

            assertThatThrownBy(() -> find(directory, "d@contoso.com"))
                    .isInstanceOf(DirectoryUnavailableException.class)
                    .hasMessageContaining("ldap://localhost:" + port)
                    .message()
                    .doesNotContain("s3cret");
            assertThat(find(directory, "j@contoso.com")).as("remembered").isInstanceOf(MailboxPlace.Here.class);

            start();
            try (LdapDirectory again = directory()) {
                assertThat(find(again, "d@contoso.com")).isInstanceOf(MailboxPlace.Away.class);
            }
        }
    }

    @Test
    void failureShouldBeRememberedForAMomentOnly() throws Exception {
        server.shutDown(true);
        try (LdapDirectory directory = directory2()) {
            assertThatThrownBy(() -> find(directory, "d@contoso.com"))
                    .isInstanceOf(DirectoryUnavailableException.class);
            server.startListening();
            assertThatThrownBy(() -> find(directory, "d@contoso.com"))
                    .isInstanceOf(DirectoryUnavailableException.class);

            now.addAndGet(Duration.ofSeconds(2).toNanos());
            assertThat(find(directory, "d@contoso.com")).isInstanceOf(MailboxPlace.Away.class);
        }
    }

    /** At a port that stays the same over a restart of the server. */
    private LdapDirectory directory2() throws Exception {
        server.startListening();
        int port = server.getListenPort("plain");
        server.shutDown(true);
        InMemoryDirectoryServerConfig config = new InMemoryDirectoryServerConfig(BASE);
        config.setSchema(null);
        config.addAdditionalBindCredentials("cn=gateway," + BASE, "s3cret");
        config.setListenerConfigs(InMemoryListenerConfig.createLDAPConfig("plain", port));
        server = new InMemoryDirectoryServer(config);
        server.add("dn: " + BASE, "objectClass: domain", "dc: contoso");
        person("d", "mail: d@contoso.com", "targetAddress: SMTP:d@contoso.mail.onmicrosoft.com");
        return new LdapDirectory(settings("localhost", port, LdapSettings.Security.PLAIN, TrustAnchors.jdk()), clock);
    }

    @Test
    void nobodyShouldBeForgottenSoonerThanSomebody() throws Exception {
        try (LdapDirectory directory = directory()) {
            assertThat(find(directory, "new@contoso.com")).isInstanceOf(MailboxPlace.Nowhere.class);
            assertThat(find(directory, "d@contoso.com")).isInstanceOf(MailboxPlace.Away.class);
            person("new", "mail: new@contoso.com");
            server.delete("cn=d," + BASE);

            assertThat(find(directory, "new@contoso.com")).isInstanceOf(MailboxPlace.Nowhere.class);
            now.addAndGet(Duration.ofSeconds(31).toNanos());
            assertThat(find(directory, "new@contoso.com")).isInstanceOf(MailboxPlace.Here.class);
            assertThat(find(directory, "d@contoso.com")).isInstanceOf(MailboxPlace.Away.class);
            now.addAndGet(Duration.ofMinutes(5).toNanos());
            assertThat(find(directory, "d@contoso.com")).isInstanceOf(MailboxPlace.Nowhere.class);
        }
    }

    @Test
    void threadThatMustNotWaitShouldGetTheAnswerTheNextTime() throws Exception {
        try (LdapDirectory directory = directory()) {
            MailAddress address = new MailAddress("d@contoso.com");
            assertThatThrownBy(() -> {
                        // the first question opens a connection, which takes longer than asking
                        directory.find(address, Patience.NONE);
                        throw new AssertionError("answered at once");
                    })
                    .isInstanceOf(DirectoryUnavailableException.class)
                    .hasMessageContaining("on its way");

            Awaitility.await().ignoreExceptions().untilAsserted(() -> assertThat(directory.find(address, Patience.NONE))
                    .isInstanceOf(MailboxPlace.Away.class));
        }
    }

    @Test
    void wrongPasswordShouldMakeMailWait() {
        LdapSettings good =
                settings("localhost", server.getListenPort("plain"), LdapSettings.Security.PLAIN, TrustAnchors.jdk());
        LdapSettings wrong = new LdapSettings(
                good.host(),
                good.port(),
                good.security(),
                good.trustAnchors(),
                good.base(),
                good.filter(),
                good.user(),
                Optional.of(Secret.of("wr0ng")),
                good.connections(),
                good.timeout(),
                good.cacheFor(),
                good.unknownFor(),
                good.cacheSize());
        try (LdapDirectory directory = new LdapDirectory(wrong)) {
            assertThatThrownBy(() -> find(directory, "j@contoso.com"))
                    .isInstanceOf(DirectoryUnavailableException.class)
                    .message()
                    .doesNotContain("wr0ng");
        }
    }

    @Test
    void serverShouldBeBelievedOverTlsOnlyWithAGoodCertificateOfItsName() throws Exception {
        int port = server.getListenPort("tls");
        TrustAnchors anchors = new TrustAnchors(Optional.of("test"), List.of(AUTHORITY.certificate()));
        int wrong = server.getListenPort("wrong");
        try (LdapDirectory directory =
                        new LdapDirectory(settings("localhost", port, LdapSettings.Security.TLS, anchors));
                LdapDirectory otherName =
                        new LdapDirectory(settings("localhost", wrong, LdapSettings.Security.TLS, anchors));
                LdapDirectory jdk =
                        new LdapDirectory(settings("localhost", port, LdapSettings.Security.TLS, TrustAnchors.jdk()))) {
            assertThat(find(directory, "j@contoso.com")).isInstanceOf(MailboxPlace.Here.class);
            assertThatThrownBy(() -> find(otherName, "j@contoso.com"))
                    .isInstanceOf(DirectoryUnavailableException.class);
            assertThatThrownBy(() -> find(jdk, "j@contoso.com")).isInstanceOf(DirectoryUnavailableException.class);
        }
    }
}
