/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.hybrid;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * What a hybrid deployment is to be: every answer of the wizard but the certificate itself.
 *
 * @param domains shared by both premises; never empty
 * @param domainType of the shared domains here; empty: as the policy has it, else what suits the directory
 * @param remoteRoutingDomain mail to {@code x@} this domain goes to the cloud
 * @param smartHost of the cloud, with its port where that is not 25
 * @param hostName the name by which the cloud and the world reach this gateway, which its certificate bears
 * @param cloudCertificateName what the cloud's certificates bear, perhaps with {@code *.}
 * @param trustAnchors file URL of the authorities the cloud's certificates come from; empty: those of the JDK
 * @param gatewayAddresses from which this gateway sends, where the cloud must know it by address
 * @param cloudAddresses from which the cloud sends, where this gateway must know it by address
 */
record HybridPlan(
        List<String> domains,
        Optional<String> domainType,
        String remoteRoutingDomain,
        HostAndPort smartHost,
        String hostName,
        Mx mx,
        boolean centralizedTransport,
        boolean secureMail,
        String cloudCertificateName,
        Optional<String> trustAnchors,
        List<String> gatewayAddresses,
        List<String> cloudAddresses,
        Directory directory,
        String inboundConnector,
        String outboundConnector) {

    static final String DEFAULT_CLOUD_CERTIFICATE = "*.mail.protection.outlook.com";
    static final String DEFAULT_INBOUND = "cloud-in";
    static final String DEFAULT_OUTBOUND = "cloud-out";

    HybridPlan {
        domains = List.copyOf(domains);
        gatewayAddresses = List.copyOf(gatewayAddresses);
        cloudAddresses = List.copyOf(cloudAddresses);
    }

    /** Whose host the MX records of the shared domains name. */
    enum Mx {
        ON_PREMISES("onPremises"),
        CLOUD("cloud");

        private final String xmlName;

        Mx(String xmlName) {
            this.xmlName = xmlName;
        }

        static Mx parse(String text) {
            for (Mx each : values()) {
                if (each.xmlName.equalsIgnoreCase(text.trim())) {
                    return each;
                }
            }
            throw new IllegalArgumentException("found '" + text + "', expected onPremises or cloud");
        }

        @Override
        public String toString() {
            return xmlName;
        }
    }

    /**
     * A host and port.
     *
     * @param host a name or an address, IPv6 without brackets
     */
    record HostAndPort(String host, int port) {
        static final int SMTP = 25;

        static HostAndPort parse(String text) {
            String trimmed = text.trim();
            int colon = trimmed.lastIndexOf(':');
            boolean hasPort = colon > 0 && (trimmed.indexOf(':') == colon || trimmed.charAt(colon - 1) == ']');
            String host = (hasPort ? trimmed.substring(0, colon) : trimmed).replaceAll("^\\[|]$", "");
            try {
                int port = hasPort ? Integer.parseInt(trimmed.substring(colon + 1)) : SMTP;
                boolean address = host.matches("[0-9.]+") || host.matches("(?i)[0-9a-f:]*:[0-9a-f:.]*");
                if (port >= 1 && port <= 65_535 && (address || host.equals(domain(host)))) {
                    return new HostAndPort(host, port);
                }
            } catch (IllegalArgumentException e) {
                // said below
            }
            throw new IllegalArgumentException("found '" + text
                    + "', expected a host, with its port where that is not 25"
                    + " (contoso-com.mail.protection.outlook.com)");
        }

        @Override
        public String toString() {
            return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + (port == SMTP ? "" : ":" + port);
        }
    }

    /**
     * What says who lives where.
     *
     * @param source {@code james}, {@code file} or {@code ldap}
     * @param secret a reference such as <code>${file:conf/ldap.secret}</code>, never the secret itself
     */
    record Directory(
            String source,
            Optional<String> url,
            Optional<String> base,
            Optional<String> filter,
            Optional<String> user,
            Optional<String> secret) {

        static final List<String> SOURCES = List.of("james", "file", "ldap");
    }

    /** A domain in the form the policy compares, without wildcard. */
    static String domain(String text) {
        String trimmed = text.trim().toLowerCase(Locale.ROOT);
        DomainPattern pattern = trimmed.contains("*") ? DomainPattern.ANY : DomainPattern.parse(trimmed);
        if (pattern.kind() != DomainPattern.Kind.EXACT || pattern.name().indexOf('.') < 0) {
            throw new IllegalArgumentException("found '" + text + "', expected a domain (contoso.com)");
        }
        return pattern.name();
    }
}
