/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.probe;

import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What an SMTP server showed to a client that believes everything.
 *
 * @param greeting its first reply; empty: there was none
 * @param offered what its EHLO reply offers before TLS, one line each
 * @param tls empty: no handshake was completed
 * @param offeredUnderTls what its EHLO reply offers after STARTTLS
 * @param failure where it ended; empty: all steps were taken
 */
public record SmtpObservation(
        Optional<String> greeting,
        List<String> offered,
        Optional<Tls> tls,
        List<String> offeredUnderTls,
        Optional<Failure> failure) {

    public SmtpObservation {
        offered = List.copyOf(offered);
        offeredUnderTls = List.copyOf(offeredUnderTls);
    }

    /** The steps of a session, in order. */
    public enum Step {
        TCP,
        GREETING,
        EHLO,
        STARTTLS,
        HANDSHAKE,
        /** The first reply under TLS 1.3 is also the peer's judgement of our certificate. */
        EHLO_UNDER_TLS
    }

    /**
     * Why a session ended early.
     *
     * @param reason for people
     */
    public record Failure(Step step, String reason) {}

    /**
     * A finished handshake.
     *
     * @param chain as presented, leaf first; never empty
     * @param certificateAsked whether the server asked for a client certificate
     */
    public record Tls(String protocol, String cipher, List<X509Certificate> chain, boolean certificateAsked) {
        public Tls {
            chain = List.copyOf(chain);
        }

        public X509Certificate certificate() {
            return chain.get(0);
        }
    }

    /** Whether the EHLO reply that counts (the later one) offers an extension. */
    public boolean offers(String keyword) {
        return (offeredUnderTls.isEmpty() ? offered : offeredUnderTls)
                .stream().anyMatch(line -> (line.toUpperCase(Locale.ROOT) + " ").startsWith(keyword + " "));
    }

    /** Whether the session came as far as this step without an error in it. */
    public boolean passed(Step step) {
        return failure.map(failed -> failed.step().compareTo(step) > 0).orElse(true);
    }
}
