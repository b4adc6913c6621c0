/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSocket;

import dev.mailflow.policy.certificate.CertificateNames;

/**
 * An SMTP server beside the gateway (RFC 5321, STARTTLS by RFC 3207): it takes mail, adds its Received field, and hands
 * the message to whatever it is to be. It asks for client certificates and completes no handshake with one that its
 * authority did not issue. One thread for each connection: there are few.
 */
final class Neighbour implements AutoCloseable {
    private static final int LONGEST_LINE = 4096;
    private static final int LARGEST_MESSAGE = 32 * 1024 * 1024;
    private static final Pattern MAIL = Pattern.compile("(?i)MAIL FROM:\\s*<([^>]*)>\\s*(.*)");
    private static final Pattern RCPT = Pattern.compile("(?i)RCPT TO:\\s*<([^>]+)>.*");

    private final String name;
    private final SSLContext tls;
    private final boolean tlsRequired;
    private final List<String> extensions;
    private final Conduct conduct;
    private final Clock clock;
    private final ServerSocket listener;
    private final ExecutorService threads = Executors.newCachedThreadPool(runnable -> {
        Thread thread = new Thread(runnable, "neighbour");
        thread.setDaemon(true);
        return thread;
    });
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger ids = new AtomicInteger();

    /** What a neighbour does with mail. */
    interface Conduct {
        /** Why the recipient is refused, as an SMTP reply; empty when it is taken. */
        Optional<String> refuse(String recipient, Optional<String> client);

        /** Takes over a message; runs before the sender learns that it was taken. */
        void take(Arrival arrival) throws IOException;
    }

    Neighbour(
            String name,
            InetSocketAddress address,
            SSLContext tls,
            boolean tlsRequired,
            List<String> extensions,
            Conduct conduct,
            Clock clock)
            throws IOException {
        this.name = name;
        this.tls = tls;
        this.tlsRequired = tlsRequired;
        this.extensions = List.copyOf(extensions);
        this.conduct = conduct;
        this.clock = clock;
        this.listener = new ServerSocket();
        listener.setReuseAddress(true);
        listener.bind(address);
        threads.execute(this::accept);
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket socket = listener.accept();
                socket.setTcpNoDelay(true);
                open.add(socket);
                threads.execute(() -> serve(socket));
            } catch (IOException e) {
                // closed
                return;
            }
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            new Session(socket).run();
        } catch (IOException e) {
            // the client left, or could not agree on TLS: the demonstration sees that its mail did not come
        } finally {
            open.remove(socket);
        }
    }

    /** A Received field for a message from a client (RFC 5321 section 4.4). */
    static String received(String helo, InetAddress from, String by, Optional<String> tls, String id, Clock clock) {
        return "Received: from " + helo + " ([" + from.getHostAddress() + "])\r\n\tby " + by + " with "
                + tls.map(protocol -> "ESMTPS (" + protocol + ")").orElse("ESMTP") + " id " + id + ";\r\n\t"
                + DateTimeFormatter.RFC_1123_DATE_TIME.format(clock.instant().atOffset(ZoneOffset.UTC)) + "\r\n";
    }

    private final class Session {
        private final InetAddress peer;
        private Socket socket;
        private InputStream in;
        private OutputStream out;
        private Optional<String> protocol = Optional.empty();
        private Optional<String> client = Optional.empty();
        private String helo = "unknown";
        private Optional<String> sender = Optional.empty();
        private String parameters = "";
        private final List<String> recipients = new ArrayList<>();

        Session(Socket socket) throws IOException {
            this.socket = socket;
            this.peer = socket.getInetAddress();
            this.in = new BufferedInputStream(socket.getInputStream());
            this.out = socket.getOutputStream();
        }

        void run() throws IOException {
            say("220 " + name + " ESMTP");
            Optional<String> line = line();
            while (line.isPresent() && handle(line.get())) {
                line = line();
            }
        }

        private boolean handle(String line) throws IOException {
            String verb = line.split("[ :]", 2)[0].toUpperCase(Locale.ROOT);
            if (tlsRequired
                    && protocol.isEmpty()
                    && List.of("MAIL", "RCPT", "DATA").contains(verb)) {
                say("530 5.7.0 Must issue a STARTTLS command first");
                return true;
            }
            switch (verb) {
                case "EHLO" -> ehlo(line);
                case "HELO" -> say("250 " + name);
                case "STARTTLS" -> startTls();
                case "MAIL" -> mail(line);
                case "RCPT" -> rcpt(line);
                case "DATA" -> data();
                case "RSET" -> {
                    reset();
                    say("250 2.0.0 reset");
                }
                case "NOOP" -> say("250 2.0.0 ok");
                case "QUIT" -> {
                    say("221 2.0.0 bye");
                    return false;
                }
                default -> say("500 5.5.2 unknown command");
            }
            return true;
        }

        private void ehlo(String line) throws IOException {
            helo = line.substring(4).strip().replaceAll("[^A-Za-z0-9.:\\[\\]-]", "?");
            reset();
            List<String> lines = new ArrayList<>(List.of(name, "PIPELINING", "8BITMIME", "SIZE " + LARGEST_MESSAGE));
            if (protocol.isEmpty()) {
                lines.add("STARTTLS");
            } else {
                lines.addAll(extensions);
            }
            StringBuilder reply = new StringBuilder();
            for (int i = 0; i < lines.size(); i++) {
                reply.append(i == 0 ? "" : "\r\n")
                        .append(i == lines.size() - 1 ? "250 " : "250-")
                        .append(lines.get(i));
            }
            say(reply.toString());
        }

        private void startTls() throws IOException {
            say("220 2.0.0 go ahead");
            SSLSocket secured = (SSLSocket) tls.getSocketFactory().createSocket(socket, null, socket.getPort(), true);
            secured.setUseClientMode(false);
            secured.setWantClientAuth(true);
            secured.startHandshake();
            protocol = Optional.of(secured.getSession().getProtocol());
            try {
                client = secured.getSession().getPeerCertificates()[0] instanceof X509Certificate shown
                        ? Optional.of(CertificateNames.of(shown).toString())
                        : Optional.empty();
            } catch (SSLPeerUnverifiedException e) {
                client = Optional.empty();
            }
            socket = secured;
            in = new BufferedInputStream(secured.getInputStream());
            out = secured.getOutputStream();
            reset();
        }

        private void mail(String line) throws IOException {
            Matcher mail = MAIL.matcher(line);
            if (!mail.matches()) {
                say("501 5.5.4 expected MAIL FROM:<address>");
                return;
            }
            reset();
            sender = Optional.of(mail.group(1));
            parameters = mail.group(2).toUpperCase(Locale.ROOT);
            say("250 2.1.0 ok");
        }

        private void rcpt(String line) throws IOException {
            Matcher rcpt = RCPT.matcher(line);
            if (sender.isEmpty() || !rcpt.matches()) {
                say(sender.isEmpty() ? "503 5.5.1 MAIL first" : "501 5.5.4 expected RCPT TO:<address>");
                return;
            }
            Optional<String> refusal = conduct.refuse(rcpt.group(1).toLowerCase(Locale.ROOT), client);
            if (refusal.isEmpty()) {
                recipients.add(rcpt.group(1).toLowerCase(Locale.ROOT));
            }
            say(refusal.orElse("250 2.1.5 ok"));
        }

        private void data() throws IOException {
            if (recipients.isEmpty()) {
                say("554 5.5.1 no valid recipients");
                return;
            }
            say("354 go ahead");
            String id = name.split("\\.")[0] + "-" + ids.incrementAndGet();
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            content.writeBytes(received(helo, peer, name, protocol, id, clock).getBytes(StandardCharsets.US_ASCII));
            for (Optional<byte[]> next = dataLine(); next.isPresent(); next = dataLine()) {
                if (content.size() + next.get().length > LARGEST_MESSAGE) {
                    throw new IOException("message too large");
                }
                content.writeBytes(next.get());
            }
            try {
                conduct.take(new Arrival(
                        name, sender.orElse(""), recipients, parameters, content.toByteArray(), protocol, client));
                say("250 2.0.0 taken as " + id);
            } catch (IOException e) {
                say("451 4.4.1 " + String.valueOf(e.getMessage()).replaceAll("\\p{Cntrl}+", " "));
            }
            reset();
        }

        private void reset() {
            sender = Optional.empty();
            parameters = "";
            recipients.clear();
        }

        private void say(String reply) throws IOException {
            out.write((reply + "\r\n").getBytes(StandardCharsets.US_ASCII));
            out.flush();
        }

        private Optional<String> line() throws IOException {
            Optional<byte[]> raw = rawLine(LONGEST_LINE);
            return raw.map(bytes -> new String(bytes, StandardCharsets.UTF_8).stripTrailing());
        }

        /** One line of content without its dot; empty at the final dot. */
        private Optional<byte[]> dataLine() throws IOException {
            byte[] raw = rawLine(LARGEST_MESSAGE).orElseThrow(() -> new IOException("closed within a message"));
            if (raw[0] != '.') {
                return Optional.of(raw);
            }
            String rest = new String(raw, 1, raw.length - 1, StandardCharsets.ISO_8859_1);
            return rest.isBlank() ? Optional.empty() : Optional.of(rest.getBytes(StandardCharsets.ISO_8859_1));
        }

        private Optional<byte[]> rawLine(int most) throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int c = in.read(); c >= 0; c = in.read()) {
                line.write(c);
                if (c == '\n') {
                    return Optional.of(line.toByteArray());
                }
                if (line.size() > most) {
                    throw new IOException("line too long");
                }
            }
            return Optional.empty();
        }
    }

    @Override
    public void close() {
        try {
            listener.close();
            for (Socket socket : open) {
                socket.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            threads.shutdownNow();
        }
    }
}
