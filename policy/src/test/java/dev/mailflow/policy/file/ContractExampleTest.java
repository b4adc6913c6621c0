/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connector.ConnectionLimits;
import dev.mailflow.policy.connector.ConnectorType;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.InboundConnector;
import dev.mailflow.policy.connector.InternalHeaders;
import dev.mailflow.policy.connector.NextHops;
import dev.mailflow.policy.connector.OutboundConnector;
import dev.mailflow.policy.connector.RetrySchedule;
import dev.mailflow.policy.connector.SmartHost;
import dev.mailflow.policy.connector.TlsLevel;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.domain.SenderPattern;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.MailboxSource;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.Direction;

/** The example of the policy-file contract, from file to decision. */
class ContractExampleTest {
    @TempDir
    private Path temporary;

    private PolicyDirectory directory;

    @BeforeEach
    void furnish() {
        directory = new PolicyDirectory(temporary).furnished();
    }

    private MailFlowPolicy supported() {
        PolicyReading reading = directory.read(PolicyDirectory.supportedExample());
        assertThat(reading.problems()).isEmpty();
        return reading.policy().orElseThrow();
    }

    @Test
    void wholeExampleShouldBeRefusedForExactlyWhatThisModuleLacks() {
        PolicyReading reading = directory.read(PolicyDirectory.contractExample());

        assertThat(reading.policy()).isEmpty();
        assertThat(reading.problems())
                .extracting(PolicyProblem::toString)
                .satisfiesExactly(
                        problem -> assertThat(problem)
                                .startsWith("mailflow.xml:72: error: found <transportRules> with rules, but this"
                                        + " installation has no compiler"),
                        problem -> assertThat(problem).startsWith("mailflow.xml:73: error: <script>"));
    }

    @Test
    void acceptedDomainsShouldBeThoseOfTheExample() throws Exception {
        MailFlowPolicy policy = supported();

        assertThat(policy.acceptedDomains().entries())
                .extracting(entry -> entry.pattern() + " " + entry.type() + " " + entry.location())
                .containsExactly(
                        "contoso.com authoritative mailflow.xml:4",
                        "fabrikam.com internalRelay mailflow.xml:5",
                        "*.tailspin.com externalRelay mailflow.xml:6");
        assertThat(policy.acceptedDomains().find(Domain.of("eu.tailspin.com")))
                .map(AcceptedDomain::type)
                .contains(AcceptedDomain.Type.EXTERNAL_RELAY);
    }

    @Test
    void connectionFilterShouldJudgeByEntriesAndLists() {
        MailFlowPolicy policy = supported();

        assertThat(verdict(policy, "192.0.2.9", "example.com")).isEqualTo(ConnectionVerdict.Kind.ALLOW);
        assertThat(verdict(policy, "198.51.100.65", "fabrikam.com")).isEqualTo(ConnectionVerdict.Kind.ALLOW);
        assertThat(verdict(policy, "198.51.100.66", "fabrikam.com")).isEqualTo(ConnectionVerdict.Kind.NONE);
        assertThat(verdict(policy, "198.51.100.65", "example.com")).isEqualTo(ConnectionVerdict.Kind.NONE);
        assertThat(verdict(policy, "203.0.113.40", "example.com")).isEqualTo(ConnectionVerdict.Kind.BLOCK);
        assertThat(verdict(policy, "203.0.113.41", "example.com")).isEqualTo(ConnectionVerdict.Kind.NONE);
        assertThat(verdict(policy, "2001:db8:77::1", "example.com")).isEqualTo(ConnectionVerdict.Kind.ALLOW);
        assertThat(verdict(policy, "203.0.113.201", "example.com")).isEqualTo(ConnectionVerdict.Kind.BLOCK);
        assertThat(policy.connectionFilter().entries().get(1).expires())
                .contains(Instant.parse("2027-01-31T00:00:00Z"));
        assertThat(policy.connectionFilter().entries().get(1).comment()).contains("Fabrikam gateways");
    }

    private static ConnectionVerdict.Kind verdict(MailFlowPolicy policy, String client, String sender) {
        return policy.connectionFilter()
                .verdict(IpAddress.parse(client), Optional.of(Domain.of(sender)), PolicyDirectory.NOW)
                .kind();
    }

    @Test
    void inboundConnectorsShouldBeThoseOfTheExample() {
        MailFlowPolicy policy = supported();

        InboundConnector partner =
                policy.inboundConnectors().find("fabrikam-in").orElseThrow();
        assertThat(partner.type()).isEqualTo(ConnectorType.PARTNER);
        assertThat(partner.senderDomains()).containsExactly(DomainPattern.parse("*.fabrikam.com"));
        assertThat(partner.requireTls()).isTrue();
        assertThat(partner.relay()).isFalse();
        assertThat(partner.clientIps()).containsExactly(IpRange.parse("198.51.100.0/24"));
        assertThat(partner.clientCertificate().orElseThrow().name()).contains(DomainPattern.parse("mail.fabrikam.com"));

        InboundConnector cloud = policy.inboundConnectors().find("cloud-in").orElseThrow();
        assertThat(cloud.type()).isEqualTo(ConnectorType.ORGANIZATION);
        // secureMail of the hybrid section demands it
        assertThat(cloud.requireTls()).isTrue();
        assertThat(cloud.relay()).isTrue();
        assertThat(cloud.internalHeaders()).isEqualTo(InternalHeaders.PRESERVE);
        assertThat(cloud.clientCertificate().orElseThrow().name())
                .contains(DomainPattern.parse("*.mail.protection.outlook.com"));
    }

    @Test
    void outboundConnectorsShouldBeThoseOfTheExample() throws Exception {
        MailFlowPolicy policy = supported();

        OutboundConnector cloud = policy.outboundConnectors().find("cloud-out").orElseThrow();
        assertThat(cloud.type()).isEqualTo(ConnectorType.ORGANIZATION);
        assertThat(cloud.internalHeaders()).isEqualTo(InternalHeaders.PRESERVE);
        assertThat(cloud.nextHops())
                .isEqualTo(new NextHops.SmartHosts(
                        List.of(new SmartHost("contoso-com.mail.protection.outlook.com", 25, 10, 1))));
        assertThat(cloud.tls().level()).isEqualTo(TlsLevel.DOMAIN);
        assertThat(cloud.tls().name()).contains(DomainPattern.parse("*.mail.protection.outlook.com"));
        assertThat(cloud.tls().clientCertificate().orElseThrow().chain())
                .first()
                .isEqualTo(PolicyDirectory.gateway().certificate());

        OutboundConnector partner =
                policy.outboundConnectors().find("fabrikam-out").orElseThrow();
        assertThat(partner.nextHops()).isEqualTo(new NextHops.UseMx());
        assertThat(partner.tls().level()).isEqualTo(TlsLevel.CA);
        assertThat(partner.tls().trustAnchors().certificates())
                .containsExactly(PolicyDirectory.authority().certificate());
        assertThat(partner.tls().trustAnchors().source()).contains("file://conf/ca.pem");

        OutboundConnector scrubber =
                policy.outboundConnectors().find("scrubber").orElseThrow();
        assertThat(scrubber.rulesOnly()).isTrue();
        assertThat(scrubber.nextHops())
                .isEqualTo(new NextHops.SmartHosts(List.of(
                        new SmartHost("dlp1.contoso.internal", 2525, 10, 1),
                        new SmartHost("dlp2.contoso.internal", 2525, 10, 1))));
        assertThat(scrubber.tls().pins()).hasSize(1);
        assertThat(scrubber.credentials())
                .extracting(Credentials::sender)
                .containsExactly(SenderPattern.ANY, SenderPattern.parse("*@sales.contoso.com"));
        assertThat(scrubber.credentialsFor(Optional.of(new MailAddress("joe@sales.contoso.com"))))
                .map(found -> found.secret().reveal())
                .contains(PolicyDirectory.SECRET_VALUE);
        assertThat(scrubber.credentialsFor(Optional.of(new MailAddress("joe@contoso.com"))))
                .map(found -> found.secret().reveal())
                .contains("of-the-file");

        OutboundConnector internet =
                policy.outboundConnectors().find("internet").orElseThrow();
        assertThat(internet.location().line()).isPositive();
        assertThat(internet.tls()).isEqualTo(OutboundConnector.IMPLIED_INTERNET.tls());
        assertThat(internet.limits()).isEqualTo(new ConnectionLimits(20, 5, 100, Duration.ofSeconds(30)));
        assertThat(internet.retry()).isEqualTo(RetrySchedule.DEFAULT);
    }

    @Test
    void addressRewriteShouldBeThatOfTheExampleAndItsFile() {
        AddressRewriteTable table = supported().addressRewrite();

        assertThat(table.size()).isEqualTo(5);
        assertThat(table.rewrite("joe", "contoso.com", Direction.OUTBOUND).after())
                .isEqualTo("support@northwind.com");
        assertThat(table.rewrite("ann", "sales.contoso.com", Direction.OUTBOUND).after())
                .isEqualTo("ann@contoso.com");
        assertThat(table.rewrite("ann", "legal.contoso.com", Direction.OUTBOUND).after())
                .isEqualTo("ann@legal.contoso.com");
        assertThat(table.rewrite("help", "northwind.com", Direction.INBOUND).reason())
                .endsWith("by entry sue@contoso.com <-> help@northwind.com (rewrite.csv:2)");
    }

    @Test
    void hybridShouldBeThatOfTheExample() {
        HybridTopology hybrid = supported().hybrid().orElseThrow();

        assertThat(hybrid.sharedDomains()).containsExactly(Domain.of("contoso.com"));
        assertThat(hybrid.remoteRoutingDomain()).isEqualTo(Domain.of("contoso.mail.onmicrosoft.com"));
        assertThat(hybrid.inboundConnector()).isEqualTo("cloud-in");
        assertThat(hybrid.outboundConnector()).isEqualTo("cloud-out");
        assertThat(hybrid.mx()).isEqualTo(HybridTopology.MxPosition.ON_PREMISES);
        assertThat(hybrid.centralizedTransport()).isTrue();
        assertThat(hybrid.secureMail()).isTrue();
        assertThat(hybrid.mailboxes()).isEqualTo(new MailboxSource.James());
    }

    @Test
    void readingShouldNameEveryFileItDependsOn() {
        PolicyReading reading = directory.read(PolicyDirectory.supportedExample());

        assertThat(reading.files())
                .extracting(file -> file.getFileName().toString())
                .containsExactlyInAnyOrder(
                        "mailflow.xml", "allow.txt", "block.txt", "ca.pem", "gateway.p12", "dlp.secret", "rewrite.csv");
    }

    @Test
    void nothingPrintedShouldHoldASecret() {
        MailFlowPolicy policy = supported();

        assertThat(policy.outboundConnectors().all().toString() + policy)
                .doesNotContain(PolicyDirectory.SECRET_VALUE)
                .doesNotContain("of-the-file")
                .doesNotContain("changeit");
    }
}
