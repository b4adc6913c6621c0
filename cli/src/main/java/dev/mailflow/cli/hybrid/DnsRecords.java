/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

import dev.mailflow.cli.hybrid.HybridPlan.Mx;

/** The DNS records that a topology needs, and the MTA-STS policy that goes with them (RFC 8461). */
final class DnsRecords {
    private static final String MICROSOFT = "mail.protection.outlook.com";
    private static final String MICROSOFT_SPF = "include:spf.protection.outlook.com";
    private static final int ID_LENGTH = 20;

    private final HybridPlan plan;

    DnsRecords(HybridPlan plan) {
        this.plan = plan;
    }

    /** The host that the MX records name. */
    static String mxHost(HybridPlan plan) {
        return plan.mx() == Mx.ON_PREMISES ? plan.hostName() : plan.smartHost().host();
    }

    /** Who may send as the shared domains: this gateway always, the cloud unless all its mail leaves through here. */
    static String spf(HybridPlan plan) {
        StringBuilder spf = new StringBuilder("v=spf1 a:").append(plan.hostName());
        if (!plan.centralizedTransport()) {
            spf.append(' ').append(cloudMechanism(plan));
        }
        return spf.append(" -all").toString();
    }

    /** The SPF mechanism that covers the cloud. */
    static String cloudMechanism(HybridPlan plan) {
        return plan.smartHost().host().endsWith(MICROSOFT)
                ? MICROSOFT_SPF
                : "a:" + plan.smartHost().host();
    }

    /** The policy to serve at {@code https://mta-sts.DOMAIN/.well-known/mta-sts.txt}. */
    String mtaStsPolicy() {
        return "version: STSv1\r\nmode: testing\r\nmx: " + mxHost(plan) + "\r\nmax_age: 604800\r\n";
    }

    /** Changes exactly when the policy does. */
    private String mtaStsId() {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256")
                            .digest(mtaStsPolicy().getBytes(StandardCharsets.US_ASCII)))
                    .substring(0, ID_LENGTH);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** Records in zone-file form, with a word to each. */
    String text() {
        StringBuilder text = new StringBuilder("; DNS records to publish\n");
        text.append(plan.hostName())
                .append(". A/AAAA  the public address of this gateway, whose reverse name is ")
                .append(plan.hostName())
                .append('\n');
        plan.domains().forEach(domain -> text.append('\n')
                .append("; ")
                .append(domain)
                .append(
                        plan.mx() == Mx.ON_PREMISES
                                ? ": mail from the Internet comes here\n"
                                : ": mail from the Internet goes to the cloud\n")
                .append("%s. 3600 IN MX 10 %s.%n"
                        .formatted(domain, mxHost(plan))
                        .replace("\r", ""))
                .append("; who may send for it; add your other senders. ")
                .append(
                        plan.centralizedTransport()
                                ? "The cloud's mail leaves through this gateway\n"
                                : "The cloud sends its mail itself\n")
                .append(record(domain, spf(plan)))
                .append("; senders use TLS or say so; set 'mode: enforce' and a new id when the reports are clean\n")
                .append(record("_mta-sts." + domain, "v=STSv1; id=" + mtaStsId()))
                .append("; where senders report TLS failures\n")
                .append(record("_smtp._tls." + domain, "v=TLSRPTv1; rua=mailto:tls-reports@" + domain)));
        text.append('\n').append("; to be served by HTTPS at");
        plan.domains()
                .forEach(domain ->
                        text.append(" https://mta-sts.").append(domain).append("/.well-known/mta-sts.txt"));
        text.append(" :\n");
        mtaStsPolicy().lines().forEach(line -> text.append(";   ").append(line).append('\n'));
        return text.toString();
    }

    private static String record(String name, String value) {
        return name + ". 3600 IN TXT \"" + value + "\"\n";
    }
}
