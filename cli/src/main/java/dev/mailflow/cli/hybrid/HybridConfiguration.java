/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.cli.hybrid.ServerPieces.Unsuitable;
import dev.mailflow.cli.xml.XmlFile;
import dev.mailflow.cli.xml.XmlSyntaxException;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyProblem.Severity;
import dev.mailflow.policy.certificate.CertificateNames;
import dev.mailflow.policy.file.PolicyReading;

/** The hybrid pieces of one configuration directory: what is there, what it would become, and the way from one to the other. */
final class HybridConfiguration {
    private static final String SMTP = "smtpserver.xml";
    private static final String MAILETS = "mailetcontainer.xml";
    private static final int SECRET_BYTES = 24;

    private final ConfigurationChanges changes;
    private final XmlFile policy;
    private final PolicyPieces pieces;

    private HybridConfiguration(ConfigurationChanges changes, XmlFile policy) {
        this.changes = changes;
        this.policy = policy;
        this.pieces = new PolicyPieces(policy);
    }

    /** Reads {@code mailflow.xml}, which must be there. */
    static HybridConfiguration in(Path conf) throws IOException, XmlSyntaxException {
        ConfigurationChanges changes = new ConfigurationChanges(conf);
        byte[] content = changes.content(ConfigurationChanges.POLICY)
                .orElseThrow(() -> new IOException("found no " + conf.resolve(ConfigurationChanges.POLICY)));
        return new HybridConfiguration(changes, XmlFile.parse(content, ConfigurationChanges.POLICY));
    }

    ConfigurationChanges changes() {
        return changes;
    }

    PolicyPieces pieces() {
        return pieces;
    }

    /** Plans what was done to {@link #pieces()}. */
    void planPolicy() throws IOException {
        changes.put(ConfigurationChanges.POLICY, policy.bytes());
    }

    /** Plans James's own files. */
    void planServer(Optional<String> smtpServer) throws IOException, XmlSyntaxException, Unsuitable {
        XmlFile smtp = james(SMTP);
        ServerPieces.smtpServer(smtp, smtpServer);
        changes.put(SMTP, smtp.bytes());
        XmlFile mailets = james(MAILETS);
        ServerPieces.mailetContainer(mailets);
        changes.put(MAILETS, mailets.bytes());
    }

    private XmlFile james(String name) throws IOException, XmlSyntaxException, Unsuitable {
        return XmlFile.parse(
                changes.content(name)
                        .orElseThrow(() ->
                                new Unsuitable("found no " + changes.conf().resolve(name)
                                        + ", expected James's configuration; --policy-only leaves it alone")),
                name);
    }

    /** Plans the files of the certificate; those that hold the same already stay as they are. */
    void planCertificate(GatewayCertificate certificate) throws IOException {
        changes.putSecret(ServerPieces.KEY, certificate.keyPem());
        changes.put(ServerPieces.CERTIFICATE, certificate.chainPem());
        Optional<byte[]> store = changes.content(PolicyPieces.KEY_STORE);
        Optional<String> secret = changes.content(PolicyPieces.KEY_STORE_SECRET)
                .map(bytes -> new String(bytes, StandardCharsets.UTF_8).strip());
        if (store.isPresent() && secret.isPresent() && certificate.isIn(store.get(), secret.get())) {
            return;
        }
        byte[] random = new byte[SECRET_BYTES];
        new SecureRandom().nextBytes(random);
        String fresh = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        changes.putSecret(PolicyPieces.KEY_STORE_SECRET, (fresh + "\n").getBytes(StandardCharsets.US_ASCII));
        changes.putSecret(PolicyPieces.KEY_STORE, certificate.pkcs12(fresh));
    }

    /** The certificate that is in place; empty when there is none that can be read. */
    Optional<GatewayCertificate> installedCertificate() {
        Path key = changes.conf().resolve(ServerPieces.KEY);
        Path chain = changes.conf().resolve(ServerPieces.CERTIFICATE);
        if (!Files.exists(key) || !Files.exists(chain)) {
            return Optional.empty();
        }
        try {
            return Optional.of(GatewayCertificate.read(chain, Optional.of(key), Optional.empty()));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** The name of this gateway, which its certificate in place bears; empty when there is none, or only a wildcard. */
    Optional<String> hostName() {
        Path chain = changes.conf().resolve(ServerPieces.CERTIFICATE);
        try {
            return Files.exists(chain)
                    ? CertificateNames.of(GatewayCertificate.certificates(Files.readAllBytes(chain))
                                    .get(0))
                            .names()
                            .stream()
                            .filter(name -> !name.startsWith("*."))
                            .findFirst()
                    : Optional.empty();
        } catch (IOException | GeneralSecurityException | IndexOutOfBoundsException e) {
            return Optional.empty();
        }
    }

    /**
     * Whether a policy reader would take the plan; if not, says why.
     *
     * @param err gets the reasons
     */
    boolean isAcceptable(Map<String, String> environment, Clock clock, PrintWriter err) throws IOException {
        PolicyReading reading = changes.tryOut(environment, clock);
        if (reading.policy().isPresent()) {
            return true;
        }
        List<PolicyProblem> errors = reading.problems().stream()
                .filter(problem -> problem.severity() == Severity.ERROR)
                .toList();
        errors.forEach(problem -> err.println(problem));
        err.println("mailflow: nothing was written, because the policy would be broken, see above");
        err.flush();
        return false;
    }
}
