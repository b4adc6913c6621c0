/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;

import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;

import dev.mailflow.policy.domain.DomainPattern;

/**
 * The DNS names a certificate speaks for: its SAN dNSNames; the subject's CN only when there is no SAN at all. A
 * wildcard in the certificate stands for exactly one label, the leftmost (RFC 6125 section 6.4.3). See section 3 of
 * the mail-flow behaviour.
 *
 * @param names as in the certificate, in normal form; a name may begin with {@code *.}
 */
public record CertificateNames(List<String> names) {

    private static final int SAN_DNS = 2;

    public CertificateNames {
        names = List.copyOf(names);
    }

    public static CertificateNames of(X509Certificate certificate) {
        try {
            var alternatives = certificate.getSubjectAlternativeNames();
            if (alternatives != null && !alternatives.isEmpty()) {
                List<String> names = new ArrayList<>();
                for (List<?> alternative : alternatives) {
                    if (alternative.get(0).equals(SAN_DNS) && alternative.get(1) instanceof String name) {
                        names.add(DomainPattern.normalize(name));
                    }
                }
                return new CertificateNames(names);
            }
            for (Rdn rdn : new LdapName(certificate.getSubjectX500Principal().getName()).getRdns()) {
                if (rdn.getType().equalsIgnoreCase("CN")) {
                    return new CertificateNames(List.of(DomainPattern.normalize(String.valueOf(rdn.getValue()))));
                }
            }
        } catch (CertificateParsingException | InvalidNameException | IllegalArgumentException e) {
            // A certificate whose names cannot be read speaks for no name: the caller fails closed.
            return new CertificateNames(List.of());
        }
        return new CertificateNames(List.of());
    }

    /**
     * Whether one of these names is what a policy asks for. A configured {@code *.d} accepts d and all its subdomains,
     * and a certificate wildcard {@code *.d} or deeper; a configured exact name accepts itself or a certificate
     * wildcard that stands for its leftmost label.
     */
    public boolean satisfy(DomainPattern wanted) {
        return names.stream().anyMatch(name -> satisfies(name, wanted));
    }

    private static boolean satisfies(String name, DomainPattern wanted) {
        boolean wildcard = name.startsWith("*.");
        String base = wildcard ? name.substring(2) : name;
        if (base.isEmpty() || base.indexOf('*') >= 0) {
            return false;
        }
        return switch (wanted.kind()) {
            case ANY -> true;
            case SUFFIX -> wanted.matches(base);
            case EXACT -> wildcard
                    ? wanted.name().endsWith("." + base)
                            && wanted.name().indexOf('.') == wanted.name().length() - base.length() - 1
                    : name.equals(wanted.name());
        };
    }

    @Override
    public String toString() {
        return names.isEmpty() ? "no DNS name" : String.join(", ", names);
    }
}
