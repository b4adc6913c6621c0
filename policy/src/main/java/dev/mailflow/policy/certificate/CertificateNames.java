/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

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

    private static final String SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
    private static final int OCTET_STRING = 0x04;
    private static final int SEQUENCE = 0x30;
    /** GeneralName: [2] IMPLICIT IA5String. */
    private static final int DNS_NAME = 0x82;

    public CertificateNames {
        names = List.copyOf(names);
    }

    public static CertificateNames of(X509Certificate certificate) {
        return alternatives(certificate).orElseGet(() -> new CertificateNames(commonName(certificate)));
    }

    /** Its SAN dNSNames alone, for those to whom the CN is no name (RFC 8461 section 4.2). */
    public static CertificateNames withoutCommonName(X509Certificate certificate) {
        return alternatives(certificate).orElseGet(() -> new CertificateNames(List.of()));
    }

    /** Empty: there is no SAN at all. */
    private static Optional<CertificateNames> alternatives(X509Certificate certificate) {
        return Optional.ofNullable(certificate.getExtensionValue(SUBJECT_ALTERNATIVE_NAME))
                .map(der -> new CertificateNames(dnsNames(der)));
    }

    /**
     * Read here and not by the JDK, to which a SAN with one malformed name, of whatever kind, is none at all: what is
     * malformed is left out, and the CN does not come in its place. A SAN that is no list speaks for no name: the caller
     * fails closed.
     */
    private static List<String> dnsNames(byte[] der) {
        try {
            List<String> names = new ArrayList<>();
            ByteBuffer list = element(element(ByteBuffer.wrap(der), OCTET_STRING), SEQUENCE);
            while (list.hasRemaining()) {
                int tag = list.get(list.position()) & 0xff;
                ByteBuffer content = element(list, tag);
                if (tag == DNS_NAME) {
                    String name = StandardCharsets.ISO_8859_1.decode(content).toString();
                    if (name.chars().allMatch(character -> character > ' ' && character < 0x7f)) {
                        names.add(DomainPattern.normalize(name));
                    }
                }
            }
            return names;
        } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
            return List.of();
        }
    }

    /** The content of the next DER element, which is passed over. */
    private static ByteBuffer element(ByteBuffer der, int tag) {
        int found = der.get() & 0xff;
        if (found != tag) {
            throw new IllegalArgumentException("found tag " + found + ", expected " + tag);
        }
        int length = der.get() & 0xff;
        if (length > 0x80 && length <= 0x83) {
            int more = length - 0x80;
            length = 0;
            for (int i = 0; i < more; i++) {
                length = length << 8 | (der.get() & 0xff);
            }
        } else if (length >= 0x80) {
            throw new IllegalArgumentException("found length " + length);
        }
        ByteBuffer content = der.slice(der.position(), length);
        der.position(der.position() + length);
        return content;
    }

    private static List<String> commonName(X509Certificate certificate) {
        try {
            for (Rdn rdn : new LdapName(certificate.getSubjectX500Principal().getName()).getRdns()) {
                if (rdn.getType().equalsIgnoreCase("CN")) {
                    return List.of(DomainPattern.normalize(String.valueOf(rdn.getValue())));
                }
            }
        } catch (InvalidNameException e) {
            // as if it had none
        }
        return List.of();
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
