/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.certificate;

import java.util.Base64;
import java.util.HexFormat;
import java.util.Locale;

/**
 * The SHA-256 of a certificate or of its SubjectPublicKeyInfo.
 *
 * @param sha256 64 lower-case hexadecimal digits
 */
public record CertificatePin(String sha256) {

    /**
     * Reads 32 bytes of hexadecimal (colons allowed) or base64.
     *
     * @throws IllegalArgumentException saying what was found and what is valid
     */
    public static CertificatePin parse(String text) {
        String compact = text.replaceAll("[\\s:]", "");
        byte[] bytes;
        try {
            bytes = compact.matches("[0-9A-Fa-f]{64}")
                    ? HexFormat.of().parseHex(compact.toLowerCase(Locale.ROOT))
                    : Base64.getDecoder().decode(compact);
        } catch (IllegalArgumentException e) {
            bytes = new byte[0];
        }
        if (bytes.length != 32) {
            throw new IllegalArgumentException("found '" + text.trim()
                    + "', expected a SHA-256: 64 hexadecimal digits or 44 characters of base64");
        }
        return new CertificatePin(HexFormat.of().formatHex(bytes));
    }

    @Override
    public String toString() {
        return sha256;
    }
}
