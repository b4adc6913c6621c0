/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connector.InboundConnectors;
import dev.mailflow.policy.connector.OutboundConnectors;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.hybrid.HybridTopology;
import dev.mailflow.policy.hybrid.SecureMail;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.TransportRules;

/**
 * Reads {@code mailflow.xml} and every file it names into a {@link MailFlowPolicy}, strictly: what is not understood is
 * an error, and all mistakes are told at once, each with file, line, what was found and what would be right. Values
 * that come from {@code ${env:…}} or {@code ${file:…}} are never repeated in a message.
 */
public final class MailFlowXmlReader {
    private static final int LARGEST_DOCUMENT = 64 * 1024 * 1024;

    private MailFlowXmlReader() {}

    /**
     * Reads the policy. Never throws for what the files hold.
     *
     * @param mailflowXml the policy file
     * @param confDir the directory that {@code file://conf/} names
     * @param env the variables that {@code ${env:NAME}} names
     * @param clock tells when the snapshot was made
     */
    public static PolicyReading read(Path mailflowXml, Path confDir, Map<String, String> env, Clock clock) {
        return read(mailflowXml, confDir, env, clock, RuleCompiler.find());
    }

    /** @param compiler of transport rules; empty: a policy with rules is refused */
    static PolicyReading read(
            Path mailflowXml, Path confDir, Map<String, String> env, Clock clock, Optional<RuleCompiler> compiler) {
        ConfigurationFiles files = new ConfigurationFiles(confDir);
        Problems problems = new Problems();
        String name = files.nameOf(mailflowXml);
        Optional<MailFlowPolicy> policy = load(mailflowXml, name, files, problems)
                .flatMap(document -> LocatedXml.parse(document, name, problems))
                .flatMap(root ->
                        new StructureCheck(name, new References(env, files), problems).check(root, Grammar.MAILFLOW))
                .map(root -> map(root, new Reading(files, problems), compiler, mailflowXml, clock))
                .filter(unused -> !problems.hasErrors());
        return new PolicyReading(mailflowXml.toString(), policy, problems.inFileOrder(name), files.stamps());
    }

    /** Reads the policy with the environment of this process. */
    public static PolicyReading read(Path mailflowXml, Path confDir, Clock clock) {
        return read(mailflowXml, confDir, System.getenv(), clock);
    }

    private static Optional<byte[]> load(Path mailflowXml, String name, ConfigurationFiles files, Problems problems) {
        try {
            byte[] document = files.read(mailflowXml);
            if (document.length <= LARGEST_DOCUMENT) {
                return Optional.of(document);
            }
            problems.error(
                    new SourceLocation(name, 0),
                    "found " + document.length + " bytes, expected at most " + LARGEST_DOCUMENT
                            + ": long lists belong in an <allowFile> or <blockFile>");
        } catch (IOException e) {
            problems.error(
                    new SourceLocation(name, 0),
                    "found no readable policy at " + mailflowXml + ": " + e.getMessage() + "; expected an XML file");
        }
        return Optional.empty();
    }

    private static MailFlowPolicy map(
            Node<Void> root, Reading reading, Optional<RuleCompiler> compiler, Path source, Clock clock) {
        AcceptedDomains acceptedDomains = root.one(Grammar.ACCEPTED_DOMAINS)
                .map(new AcceptedDomainsSection(reading)::map)
                .orElse(AcceptedDomains.none());
        ConnectionFilter connectionFilter = root.one(Grammar.CONNECTION_FILTER)
                .map(new ConnectionFilterSection(reading)::map)
                .orElse(ConnectionFilter.none());
        InboundConnectors inbound = root.one(Grammar.INBOUND_CONNECTORS)
                .map(new InboundSection(reading)::map)
                .orElse(InboundConnectors.none());
        OutboundConnectors outbound = root.one(Grammar.OUTBOUND_CONNECTORS)
                .map(new OutboundSection(reading)::map)
                .orElse(OutboundConnectors.none());
        AddressRewriteTable rewrite = root.one(Grammar.ADDRESS_REWRITE)
                .map(new AddressRewriteSection(reading)::map)
                .orElseGet(AddressRewriteTable::none);
        TransportRules rules = root.one(Grammar.TRANSPORT_RULES)
                .map(new TransportRulesSection(reading, compiler)::map)
                .orElseGet(TransportRules::none);
        Optional<HybridTopology> hybrid =
                root.one(Grammar.HYBRID).flatMap(new HybridSection(reading, acceptedDomains, inbound, outbound)::map);
        SecureMail secureMail = new SecureMail(hybrid);
        return new MailFlowPolicy(
                reading.files().version(),
                source.toString(),
                clock.instant(),
                acceptedDomains,
                connectionFilter,
                secureMail.demandedOf(inbound),
                secureMail.demandedOf(outbound),
                rewrite,
                rules,
                hybrid);
    }
}
