/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.Optional;
import java.util.concurrent.Callable;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.cli.Mailflow;
import dev.mailflow.cli.PolicyOption;
import dev.mailflow.cli.Version;
import dev.mailflow.cli.connector.ConnectorValidation;
import dev.mailflow.cli.xml.XmlSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code mailflow hybrid show}: what the hybrid section says. */
@Command(
        name = "show",
        description = "Shows the hybrid deployment that mailflow.xml describes.",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:there is one", "1:there is none, or it is not whole", "2:wrong usage"})
final class HybridShowCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private PolicyOption policy;

    @Option(names = "--cloud-script", description = "also print the cloud's side as a PowerShell script")
    private boolean cloudScript;

    @Option(names = "--dns-records", description = "also print the DNS records to publish")
    private boolean dnsRecords;

    @Option(names = "--json", description = "print for programs")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        HybridConfiguration configuration;
        try {
            configuration = HybridConfiguration.in(policy.existingDirectory());
        } catch (XmlSyntaxException e) {
            err.println("mailflow: " + e.getMessage());
            err.flush();
            return Mailflow.NO;
        }
        Optional<HybridPlan> plan =
                configuration.pieces().read(configuration.hostName().orElse(""));
        if (json) {
            out.println(toJson(plan, configuration).toPrettyString());
        } else if (plan.isEmpty()) {
            out.println(
                    configuration.pieces().isHybrid()
                            ? "There is a hybrid section, but it is not whole; 'mailflow check' says what is missing."
                            : "There is no hybrid deployment; 'mailflow hybrid setup' makes one.");
        } else {
            print(plan.get(), configuration, out);
        }
        out.flush();
        return plan.isPresent() ? 0 : Mailflow.NO;
    }

    private void print(HybridPlan plan, HybridConfiguration configuration, PrintWriter out) {
        out.println("shared domains          " + String.join(", ", plan.domains()));
        out.println("remote routing domain   " + plan.remoteRoutingDomain());
        out.println("smart host of the cloud " + plan.smartHost());
        out.println("name of this gateway    " + (plan.hostName().isEmpty() ? "unknown" : plan.hostName()));
        out.println("MX                      " + plan.mx());
        out.println("centralized transport   " + Questions.onOrOff(plan.centralizedTransport()));
        out.println("secure mail             " + Questions.onOrOff(plan.secureMail()));
        out.println("cloud's certificate     " + plan.cloudCertificateName()
                + plan.trustAnchors().map(anchors -> ", from " + anchors).orElse(""));
        out.println("our certificate         "
                + configuration
                        .installedCertificate()
                        .map(certificate -> ConnectorValidation.describe(certificate.leaf()))
                        .orElse("none under hybrid/"));
        out.println("directory               " + plan.directory().source()
                + plan.directory().url().map(url -> " " + url).orElse(""));
        out.println("connectors              " + plan.inboundConnector() + ", " + plan.outboundConnector());
        if (!plan.hostName().isEmpty() && cloudScript) {
            out.println();
            out.print(new CloudScript(plan).text());
        }
        if (!plan.hostName().isEmpty() && dnsRecords) {
            out.println();
            out.print(new DnsRecords(plan).text());
        }
    }

    private static ObjectNode toJson(Optional<HybridPlan> shown, HybridConfiguration configuration) {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("hybrid", configuration.pieces().isHybrid());
        if (shown.isEmpty()) {
            return root;
        }
        HybridPlan plan = shown.get();
        plan.domains().forEach(root.putArray("sharedDomains")::add);
        root.put("remoteRoutingDomain", plan.remoteRoutingDomain())
                .put("smartHost", plan.smartHost().toString())
                .put("hostName", plan.hostName().isEmpty() ? null : plan.hostName())
                .put("mx", plan.mx().toString())
                .put("centralizedTransport", plan.centralizedTransport())
                .put("secureMail", plan.secureMail())
                .put("cloudCertificateName", plan.cloudCertificateName())
                .put("inboundConnector", plan.inboundConnector())
                .put("outboundConnector", plan.outboundConnector());
        root.putObject("directory")
                .put("source", plan.directory().source())
                .put("url", plan.directory().url().orElse(null));
        configuration
                .installedCertificate()
                .ifPresentOrElse(
                        certificate -> root.putObject("certificate")
                                .put(
                                        "subject",
                                        certificate
                                                .leaf()
                                                .getSubjectX500Principal()
                                                .getName())
                                .put(
                                        "issuer",
                                        certificate
                                                .leaf()
                                                .getIssuerX500Principal()
                                                .getName())
                                .put(
                                        "notAfter",
                                        certificate
                                                .leaf()
                                                .getNotAfter()
                                                .toInstant()
                                                .toString())
                                .put("selfSigned", certificate.isSelfSigned()),
                        () -> root.putNull("certificate"));
        return root;
    }
}
