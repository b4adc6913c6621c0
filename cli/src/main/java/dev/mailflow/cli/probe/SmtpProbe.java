/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.probe;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.atomic.AtomicBoolean;

import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509ExtendedTrustManager;

import dev.mailflow.cli.probe.SmtpObservation.Failure;
import dev.mailflow.cli.probe.SmtpObservation.Step;
import dev.mailflow.policy.certificate.ClientKey;

/**
 * Looks at an SMTP server: connects, says EHLO, asks for TLS and looks at the certificate, then leaves. It sends no mail
 * and no credentials, and trusts whatever certificate it is shown, because it only reports it. Blocks, in bounded time
 * and memory.
 */
public final class SmtpProbe {
    private static final int LONGEST_REPLY = 64 * 1024;
    private static final int IMPLICIT_TLS_PORT = 465;

    private final String heloName;
    private final Duration timeout;

    /** @param timeout for connecting and for each reply */
    public SmtpProbe(String heloName, Duration timeout) {
        this.heloName = heloName;
        this.timeout = timeout;
    }

    /**
     * Looks at one server.
     *
     * @param host for SNI, where it is a name
     * @param key presented when the server asks for a client certificate
     */
    public SmtpObservation look(String host, InetSocketAddress address, Optional<ClientKey> key) {
        Timer timer = new Timer("mailflow-probe", true);
        Socket plain = new Socket();
        Session session = new Session(plain, timer);
        try (plain) {
            session.run(host, address, key);
        } catch (IOException | GeneralSecurityException e) {
            session.failed(
                    session.late || e instanceof SocketTimeoutException
                            ? "no answer within " + timeout.toSeconds() + " s"
                            : text(e));
        } finally {
            timer.cancel();
        }
        return new SmtpObservation(
                session.greeting, session.offered, session.tls, session.offeredUnderTls, session.failure);
    }

    private static String text(Exception e) {
        if (e instanceof EOFException) {
            return "the connection was closed";
        }
        return (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage()).replaceAll("\\p{Cntrl}+", " ");
    }

    private record Reply(int code, List<String> lines) {
        @Override
        public String toString() {
            return code + " " + String.join(" / ", lines);
        }
    }

    /** Ends a session that answered, but not as it should. */
    private static final class Refused extends IOException {
        private static final long serialVersionUID = 1L;

        Refused(String message) {
            super(message);
        }
    }

    private final class Session {
        private final Socket plain;
        private final Timer timer;
        private Step step = Step.TCP;
        private Optional<String> greeting = Optional.empty();
        private List<String> offered = List.of();
        private Optional<SmtpObservation.Tls> tls = Optional.empty();
        private List<String> offeredUnderTls = List.of();
        private Optional<Failure> failure = Optional.empty();
        private Optional<TimerTask> limit = Optional.empty();
        private volatile boolean late;

        Session(Socket plain, Timer timer) {
            this.plain = plain;
            this.timer = timer;
        }

        /** Begins a step. A peer that answers byte by byte keeps every read in its time, and the step for hours. */
        private void enter(Step next) {
            step = next;
            limit.ifPresent(TimerTask::cancel);
            TimerTask end = new TimerTask() {
                @Override
                public void run() {
                    late = true;
                    try {
                        plain.close();
                    } catch (IOException e) {
                        // it is closed again at the end
                    }
                }
            };
            limit = Optional.of(end);
            timer.schedule(end, timeout.toMillis());
        }

        void failed(String reason) {
            failure = Optional.of(new Failure(step, reason));
        }

        void run(String host, InetSocketAddress address, Optional<ClientKey> key)
                throws IOException, GeneralSecurityException {
            plain.connect(address, (int) timeout.toMillis());
            if (address.getPort() == IMPLICIT_TLS_PORT) {
                enter(Step.HANDSHAKE);
                try (SSLSocket secured = secure(plain, host, address.getPort(), key)) {
                    greet(secured, new BufferedInputStream(secured.getInputStream()));
                    quit(secured);
                }
                return;
            }
            InputStream in = new BufferedInputStream(plain.getInputStream());
            greet(plain, in);
            enter(Step.STARTTLS);
            if (offered.stream().noneMatch(line -> line.equalsIgnoreCase("STARTTLS"))) {
                quit(plain);
                throw new Refused("not offered");
            }
            Reply ready = ask(plain, in, "STARTTLS");
            if (ready.code() != 220) {
                throw new Refused("offered, then refused: " + ready);
            }
            enter(Step.HANDSHAKE);
            try (SSLSocket secured = secure(plain, host, address.getPort(), key)) {
                enter(Step.EHLO_UNDER_TLS);
                offeredUnderTls = ehlo(secured, new BufferedInputStream(secured.getInputStream()));
                quit(secured);
            }
        }

        private void greet(Socket socket, InputStream in) throws IOException {
            enter(Step.GREETING);
            Reply hello = read(in);
            greeting = Optional.of(hello.toString());
            if (hello.code() != 220) {
                throw new Refused("greeted with " + hello);
            }
            enter(Step.EHLO);
            offered = ehlo(socket, in);
        }

        private List<String> ehlo(Socket socket, InputStream in) throws IOException {
            Reply reply = ask(socket, in, "EHLO " + heloName);
            if (reply.code() != 250) {
                throw new Refused("answered EHLO with " + reply);
            }
            return reply.lines().stream().skip(1).map(String::trim).toList();
        }

        private SSLSocket secure(Socket plain, String host, int port, Optional<ClientKey> key)
                throws IOException, GeneralSecurityException {
            AtomicBoolean asked = new AtomicBoolean();
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(new KeyManager[] {new Presenting(key, asked)}, new TrustManager[] {new LookingOnly()}, null);
            SSLSocket secured = (SSLSocket) context.getSocketFactory().createSocket(plain, host, port, true);
            secured.setUseClientMode(true);
            SSLParameters parameters = secured.getSSLParameters();
            if (host.indexOf('.') > 0 && host.indexOf(':') < 0 && !host.matches("[0-9.]+")) {
                parameters.setServerNames(List.of(new SNIHostName(host)));
            }
            secured.setSSLParameters(parameters);
            secured.startHandshake();
            tls = Optional.of(new SmtpObservation.Tls(
                    secured.getSession().getProtocol(),
                    secured.getSession().getCipherSuite(),
                    Arrays.stream(secured.getSession().getPeerCertificates())
                            .filter(X509Certificate.class::isInstance)
                            .map(X509Certificate.class::cast)
                            .toList(),
                    asked.get()));
            return secured;
        }
    }

    private static void quit(Socket socket) throws IOException {
        socket.getOutputStream().write("QUIT\r\n".getBytes(StandardCharsets.US_ASCII));
        socket.getOutputStream().flush();
    }

    private static Reply ask(Socket socket, InputStream in, String command) throws IOException {
        socket.getOutputStream().write((command + "\r\n").getBytes(StandardCharsets.US_ASCII));
        socket.getOutputStream().flush();
        return read(in);
    }

    private static Reply read(InputStream in) throws IOException {
        List<String> lines = new ArrayList<>();
        int length = 0;
        while (true) {
            StringBuilder line = new StringBuilder();
            for (int c = in.read(); c != '\n'; c = in.read()) {
                if (c < 0) {
                    throw new EOFException();
                }
                if (++length > LONGEST_REPLY) {
                    throw new Refused("sent a reply of more than " + LONGEST_REPLY / 1024 + " KB");
                }
                if (c != '\r') {
                    // a reply goes to a terminal
                    line.append(c < ' ' ? '?' : (char) c);
                }
            }
            String text = line.toString();
            if (!text.matches("[2-5][0-9][0-9](?:[ -].*)?")) {
                throw new Refused(
                        "sent what is no SMTP reply: '" + text.substring(0, Math.min(80, text.length())) + "'");
            }
            lines.add(text.length() > 4 ? text.substring(4) : "");
            if (text.length() == 3 || text.charAt(3) == ' ') {
                return new Reply(Integer.parseInt(text.substring(0, 3)), List.copyOf(lines));
            }
        }
    }

    /** Takes every certificate: this is a look, not a delivery. */
    private static final class LookingOnly extends X509ExtendedTrustManager {
        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }

    /** Presents the one key there is, whatever authorities the server names, and remembers being asked. */
    private static final class Presenting extends X509ExtendedKeyManager {
        private static final String ALIAS = "client";

        private final Optional<ClientKey> key;
        private final AtomicBoolean asked;

        Presenting(Optional<ClientKey> key, AtomicBoolean asked) {
            this.key = key;
            this.asked = asked;
        }

        @Override
        public String chooseClientAlias(String[] keyTypes, Principal[] issuers, Socket socket) {
            asked.set(true);
            boolean fits = key.filter(known -> Arrays.stream(keyTypes)
                            .map(type -> type.toUpperCase(Locale.ROOT))
                            .anyMatch(type ->
                                    type.startsWith(known.key().getAlgorithm().toUpperCase(Locale.ROOT))))
                    .isPresent();
            return fits ? ALIAS : null;
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return key.map(known -> known.chain().toArray(X509Certificate[]::new))
                    .orElse(null);
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return key.map(ClientKey::key).orElse(null);
        }

        @Override
        public String[] getClientAliases(String keyType, Principal[] issuers) {
            return key.isPresent() ? new String[] {ALIAS} : null;
        }

        @Override
        public String[] getServerAliases(String keyType, Principal[] issuers) {
            return null;
        }

        @Override
        public String chooseServerAlias(String keyType, Principal[] issuers, Socket socket) {
            return null;
        }
    }
}
