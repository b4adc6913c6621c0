/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The cloud's side of a hybrid deployment as an Exchange Online PowerShell script: the two connectors that answer ours,
 * the remote domain, and the type of the accepted domains. It makes what is missing and changes what is there, so that
 * it may be run again.
 */
final class CloudScript {
    /** The name of the connector in the cloud that takes our mail. */
    static final String INBOUND = "Mailflow to cloud";
    /** The name of the connector in the cloud that sends to us. */
    static final String OUTBOUND = "Cloud to Mailflow";

    private final HybridPlan plan;

    CloudScript(HybridPlan plan) {
        this.plan = plan;
    }

    String text() {
        StringBuilder script = new StringBuilder();
        script.append(
                """
                # The cloud side of the hybrid deployment of %s, for Exchange Online PowerShell.
                # Run Connect-ExchangeOnline first. It makes what is missing, changes what is there, and may be run again.
                # Add -WhatIf to a command to see what it would do.
                $ErrorActionPreference = 'Stop'

                """
                        .formatted(String.join(", ", plan.domains())));
        script.append("# Mail from this gateway: the cloud knows it by ")
                .append(plan.secureMail() ? "its certificate.\n" : "its address.\n");
        connector(script, "InboundConnector", INBOUND, inbound());
        script.append("\n# Mail to this gateway")
                .append(
                        plan.centralizedTransport()
                                ? ": everything, because the transport is centralized here.\n"
                                : ", for mailboxes that are here.\n");
        connector(script, "OutboundConnector", OUTBOUND, outbound());
        plan.domains().forEach(domain -> domain(script, domain));
        script.append("\n# Try the way here: the test mail must arrive.\n# Validate-OutboundConnector -Identity ")
                .append(quoted(OUTBOUND))
                .append(" -Recipients ")
                .append(quoted("postmaster@" + plan.domains().get(0)))
                .append('\n');
        return script.toString();
    }

    private Map<String, String> inbound() {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("ConnectorType", quoted("OnPremises"));
        settings.put("SenderDomains", quoted("*"));
        if (plan.secureMail()) {
            settings.put("RequireTls", "$true");
            settings.put("TlsSenderCertificateName", quoted(plan.hostName()));
        } else {
            settings.put("RequireTls", "$false");
            settings.put(
                    "SenderIPAddresses",
                    plan.gatewayAddresses().isEmpty()
                            ? "@()  # to be filled in: the public addresses of this gateway"
                            : list(plan.gatewayAddresses()));
        }
        settings.put("CloudServicesMailEnabled", bool(plan.secureMail()));
        settings.put("Enabled", "$true");
        settings.put("Comment", quoted("Mail from the gateway " + plan.hostName() + " to mailboxes in the cloud"));
        return settings;
    }

    private Map<String, String> outbound() {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("ConnectorType", quoted("OnPremises"));
        settings.put("RecipientDomains", plan.centralizedTransport() ? list(List.of("*")) : list(plan.domains()));
        settings.put("UseMXRecord", "$false");
        settings.put("SmartHosts", list(List.of(plan.hostName())));
        if (plan.secureMail()) {
            settings.put("TlsSettings", quoted("DomainValidation"));
            settings.put("TlsDomain", quoted(plan.hostName()));
        } else {
            settings.put("TlsSettings", "$null");
            settings.put("TlsDomain", "$null");
        }
        settings.put("CloudServicesMailEnabled", bool(plan.secureMail()));
        settings.put("RouteAllMessagesViaOnPremises", bool(plan.centralizedTransport()));
        settings.put("Enabled", "$true");
        settings.put("Comment", quoted("Mail from the cloud to the gateway " + plan.hostName()));
        return settings;
    }

    private static void connector(StringBuilder script, String noun, String name, Map<String, String> settings) {
        script.append("$settings = @{\n");
        settings.forEach((setting, value) ->
                script.append("    %-29s = %s%n".formatted(setting, value).replace("\r", "")));
        script.append("}\n")
                .append("if (Get-%s | Where-Object { $_.Name -eq %s }) {\n".formatted(noun, quoted(name)))
                .append("    Set-%s -Identity %s @settings\n".formatted(noun, quoted(name)))
                .append("} else {\n")
                .append("    New-%s -Name %s @settings\n".formatted(noun, quoted(name)))
                .append("}\n");
    }

    private void domain(StringBuilder script, String domain) {
        String remote = quoted("Hybrid Domain - " + domain);
        script.append('\n')
                .append("# ")
                .append(domain)
                .append(": recipients without a mailbox in the cloud are looked for here.\n")
                .append("if (-not (Get-AcceptedDomain | Where-Object { $_.DomainName -eq %s })) {\n"
                        .formatted(quoted(domain)))
                .append("    throw %s\n"
                        .formatted(quoted(domain
                                + " is not a domain of this tenant: add and verify it in the admin center" + " first")))
                .append("}\n")
                .append("Set-AcceptedDomain -Identity %s -DomainType InternalRelay\n".formatted(quoted(domain)))
                .append("$remoteDomain = Get-RemoteDomain | Where-Object { $_.DomainName -eq %s }\n"
                        .formatted(quoted(domain)))
                .append("if (-not $remoteDomain) {\n")
                .append("    $remoteDomain = New-RemoteDomain -Name %s -DomainName %s\n"
                        .formatted(remote, quoted(domain)))
                .append("}\n")
                .append(("Set-RemoteDomain -Identity $remoteDomain.Identity -TrustedMailInboundEnabled %1$s"
                                + " -TrustedMailOutboundEnabled %1$s -IsInternal %1$s -AllowedOOFType"
                                + " InternalLegacy -AutoReplyEnabled $true -AutoForwardEnabled $true"
                                + " -DeliveryReportEnabled $true -NDREnabled $true -TNEFEnabled $false\n")
                        .formatted(bool(plan.secureMail())));
    }

    private static String bool(boolean value) {
        return value ? "$true" : "$false";
    }

    private static String list(List<String> values) {
        return values.stream().map(CloudScript::quoted).collect(Collectors.joining(", ", "@(", ")"));
    }

    /** A single-quoted string, in which PowerShell expands nothing. */
    private static String quoted(String value) {
        return "'" + value.replace("'", "''") + "'";
    }
}
