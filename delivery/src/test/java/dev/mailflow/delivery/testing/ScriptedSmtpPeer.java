/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

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
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * An SMTP server on loopback that does as it is told, with real TLS, and remembers what it was told. By default it is
 * an honest one that takes all mail; each builder call makes one thing different:
 *
 * <pre>{@code
 * try (var peer = ScriptedSmtpPeer.builder()
 *         .startTls(certificate)
 *         .when("RCPT", "bad@", Action.reply("550 5.1.1 no such user"))
 *         .start()) { … peer.messages() … }
 * }</pre>
 *
 * <p>Steps are {@code CONNECT} (instead of the greeting), {@code EHLO}, {@code HELO}, {@code STARTTLS}, {@code AUTH},
 * {@code MAIL}, {@code RCPT}, {@code DATA}, {@code BODY} (after the final dot), {@code RSET} and {@code QUIT}.
 */
public final class ScriptedSmtpPeer implements AutoCloseable {

    /** What the peer does at a step. */
    public sealed interface Action {

        record Reply(String text) implements Action {}

        record ReplyThenDrop(String text) implements Action {}

        record Drip(String text, Duration perByte) implements Action {}

        record Drop() implements Action {}

        record Silence() implements Action {}

        record StopReading() implements Action {}

        record EarlyReply(String text) implements Action {}

        record Delay(Duration time) implements Action {}

        record When(CountDownLatch event) implements Action {}

        record Swallow() implements Action {}

        record CloseNotify() implements Action {}

        record Renegotiate() implements Action {}

        static Action reply(String text) {
            return new Reply(text);
        }

        static Action replyThenDrop(String text) {
            return new ReplyThenDrop(text);
        }

        /** Sends the reply byte by byte. */
        static Action drip(String text, Duration perByte) {
            return new Drip(text, perByte);
        }

        /** Closes the connection without a word. */
        static Action drop() {
            return new Drop();
        }

        /** Never answers; the connection stays open. */
        static Action silence() {
            return new Silence();
        }

        /** At {@code BODY}: takes no byte of the content. */
        static Action stopReading() {
            return new StopReading();
        }

        /** At {@code BODY}: replies before it has read the content, and reads none. */
        static Action earlyReply(String text) {
            return new EarlyReply(text);
        }

        /** Does what it is told and says nothing of it. */
        static Action swallow() {
            return new Swallow();
        }

        /** Ends its side of TLS, not of TCP, and says nothing any more. */
        static Action closeNotify() {
            return new CloseNotify();
        }

        /** Begins another handshake on the same connection, then says what it would have said. */
        static Action renegotiate() {
            return new Renegotiate();
        }

        /** Says what it would have said, once something has happened. */
        static Action when(CountDownLatch event) {
            return new When(event);
        }

        /** Says what it would have said, after a while. */
        static Action delay(Duration time) {
            return new Delay(time);
        }
    }

    /** A message that was accepted. */
    public static final class ReceivedMessage {
        private final Session session;
        private final String mail;
        private final List<String> recipients;
        private final byte[] wire;

        private ReceivedMessage(Session session, String mail, List<String> recipients, byte[] wire) {
            this.session = session;
            this.mail = mail;
            this.recipients = List.copyOf(recipients);
            this.wire = wire;
        }

        public Session session() {
            return session;
        }

        /** The MAIL command. */
        public String mail() {
            return mail;
        }

        /** The accepted RCPT commands. */
        public List<String> recipients() {
            return recipients;
        }

        /** As it came after DATA, final dot included. */
        public byte[] wire() {
            return wire.clone();
        }

        /** Without dot stuffing. */
        public byte[] content() {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            boolean lineStart = true;
            for (int i = 0; i < wire.length - 3; i++) {
                if (!(lineStart && wire[i] == '.')) {
                    content.write(wire[i]);
                }
                lineStart = wire[i] == '\n';
            }
            return content.toByteArray();
        }

        public String text() {
            return new String(content(), StandardCharsets.UTF_8);
        }

        public boolean overTls() {
            return session.tlsProtocol.isPresent();
        }
    }

    /** One connection and what was seen on it. */
    public static final class Session {
        private final List<String> commands = new CopyOnWriteArrayList<>();
        private final List<String> plaintextCommands = new CopyOnWriteArrayList<>();
        private volatile Optional<String> tlsProtocol = Optional.empty();
        private volatile Optional<String> serverName = Optional.empty();
        private volatile String tlsSessionId = "";
        private volatile long tlsSince;
        private volatile List<X509Certificate> clientChain = List.of();
        private volatile Optional<String> user = Optional.empty();
        private final AtomicInteger messages = new AtomicInteger();

        /** All commands, in order; contents not included. */
        public List<String> commands() {
            return List.copyOf(commands);
        }

        /** What came before TLS, or without it. */
        public List<String> plaintextCommands() {
            return List.copyOf(plaintextCommands);
        }

        public Optional<String> tlsProtocol() {
            return tlsProtocol;
        }

        /** The same for connections that resume a TLS 1.2 session. */
        public String tlsSessionId() {
            return tlsSessionId;
        }

        /** When the keys of its TLS session were agreed on, epoch milliseconds: resumed ones are older than it. */
        public long tlsSince() {
            return tlsSince;
        }

        /** SNI. */
        public Optional<String> serverName() {
            return serverName;
        }

        /** What the client presented, leaf first. */
        public List<X509Certificate> clientChain() {
            return clientChain;
        }

        /** Who authenticated. */
        public Optional<String> user() {
            return user;
        }

        public int messages() {
            return messages.get();
        }
    }

    private enum StartTls {
        NOT_OFFERED,
        OFFERED,
        BROKEN,
        SILENT
    }

    private record Rule(String step, String containing, boolean always, List<Action> actions) {}

    /** Collects what is to be different; {@link #start} may be called more than once. */
    public static final class Builder {
        private InetAddress address = InetAddress.getLoopbackAddress();
        private int port;
        private String name = "peer.test";
        private List<String> extensions = List.of("PIPELINING", "8BITMIME", "SIZE 0");
        private Optional<List<String>> extensionsAfterTls = Optional.empty();
        private StartTls startTls = StartTls.NOT_OFFERED;
        private boolean implicitTls;
        private Optional<TestCertificates.Issued> certificate = Optional.empty();
        private List<String> protocols = List.of("TLSv1.3", "TLSv1.2");
        private boolean clientCertificateWanted;
        private boolean clientCertificateNeeded;
        private String injectedWithStartTls = "";
        private Optional<String> user = Optional.empty();
        private String password = "";
        private final List<Rule> rules = new ArrayList<>();

        private Builder() {}

        /** Another loopback address, e.g. {@code 127.0.0.2}. */
        public Builder address(String literal) {
            try {
                address = InetAddress.getByName(literal);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return this;
        }

        /** 0: any free one. */
        public Builder port(int number) {
            port = number;
            return this;
        }

        /** Its name in greetings. */
        public Builder name(String hostName) {
            name = hostName;
            return this;
        }

        /** The lines of the EHLO reply, STARTTLS and AUTH not included. */
        public Builder extensions(String... lines) {
            extensions = List.of(lines);
            return this;
        }

        public Builder extensionsAfterTls(String... lines) {
            extensionsAfterTls = Optional.of(List.of(lines));
            return this;
        }

        /** Offers STARTTLS with this certificate. */
        public Builder startTls(TestCertificates.Issued shown) {
            startTls = StartTls.OFFERED;
            certificate = Optional.of(shown);
            return this;
        }

        /** Offers STARTTLS, says yes, and then sends what is no TLS. */
        public Builder brokenTls() {
            startTls = StartTls.BROKEN;
            return this;
        }

        /** Offers STARTTLS, says yes, and then nothing. */
        public Builder silentTls() {
            startTls = StartTls.SILENT;
            return this;
        }

        /** TLS from the first byte. */
        public Builder implicitTls(TestCertificates.Issued shown) {
            implicitTls = true;
            certificate = Optional.of(shown);
            return this;
        }

        public Builder protocols(String... versions) {
            protocols = List.of(versions);
            return this;
        }

        /** Asks for a client certificate, any will do, none will do. */
        public Builder wantClientCertificate() {
            clientCertificateWanted = true;
            return this;
        }

        /** Demands a client certificate, any will do. */
        public Builder needClientCertificate() {
            clientCertificateNeeded = true;
            return this;
        }

        /** Sends this text in one write with the reply to STARTTLS. */
        public Builder injectWithStartTls(String text) {
            injectedWithStartTls = text;
            return this;
        }

        /** Offers AUTH by the mechanisms that the extensions name, else PLAIN and LOGIN, after TLS. */
        public Builder user(String userName, String secret) {
            user = Optional.of(userName);
            password = secret;
            return this;
        }

        /** At the step, does the actions one after the other, each once; then as usual. */
        public Builder on(String step, Action... actions) {
            rules.add(new Rule(step, "", false, List.of(actions)));
            return this;
        }

        /** At the step, always does the action. */
        public Builder always(String step, Action action) {
            rules.add(new Rule(step, "", true, List.of(action)));
            return this;
        }

        /** At the step, if the command contains the text, always does the action. */
        public Builder when(String step, String containing, Action action) {
            rules.add(new Rule(step, containing, true, List.of(action)));
            return this;
        }

        public ScriptedSmtpPeer start() {
            return new ScriptedSmtpPeer(this);
        }
    }

    private final Builder script;
    private final ServerSocket listener;
    private final Optional<SSLContext> tls;
    private final List<Session> sessions = new CopyOnWriteArrayList<>();
    private final List<ReceivedMessage> messages = new CopyOnWriteArrayList<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger mostOpen = new AtomicInteger();
    private final ConcurrentHashMap<Rule, AtomicInteger> uses = new ConcurrentHashMap<>();
    private final CountDownLatch closed = new CountDownLatch(1);

    public static Builder builder() {
        return new Builder();
    }

    private ScriptedSmtpPeer(Builder script) {
        this.script = script;
        this.tls = script.certificate.map(ScriptedSmtpPeer::context);
        try {
            listener = new ServerSocket();
            listener.setReuseAddress(true);
            listener.bind(new InetSocketAddress(script.address, script.port), 200);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread acceptor = new Thread(this::accept, "peer-" + listener.getLocalPort());
        acceptor.setDaemon(true);
        acceptor.start();
    }

    private static SSLContext context(TestCertificates.Issued certificate) {
        try {
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(certificate.keyStore("peer"), TestCertificates.PASSWORD.toCharArray());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), new TrustManager[] {new Recorder()}, null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The peer judges no client certificate: tests do, from what is recorded. */
    private static final class Recorder implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }

    public int port() {
        return listener.getLocalPort();
    }

    /** Address literal. */
    public String address() {
        return listener.getInetAddress().getHostAddress();
    }

    public List<ReceivedMessage> messages() {
        return List.copyOf(messages);
    }

    /** All connections ever made, in order. */
    public List<Session> sessions() {
        return List.copyOf(sessions);
    }

    public int openConnections() {
        return open.size();
    }

    /** How many connections were open at the same time. */
    public int mostOpenConnections() {
        return mostOpen.get();
    }

    /** Envelope, credentials or content that came without TLS. */
    public List<String> leakedInPlaintext() {
        return sessions.stream()
                .flatMap(session -> session.plaintextCommands.stream())
                .filter(command -> !command.matches("(?i)(EHLO|HELO|STARTTLS|QUIT|RSET|NOOP).*"))
                .toList();
    }

    /** Closes all connections and accepts no more. */
    @Override
    public void close() {
        closed.countDown();
        try {
            listener.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        dropConnections();
    }

    /** Closes all connections, as a peer does with idle ones. */
    public void dropConnections() {
        for (Socket each : open) {
            try {
                each.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket socket = listener.accept();
                socket.setTcpNoDelay(true);
                open.add(socket);
                mostOpen.accumulateAndGet(open.size(), Math::max);
                Session session = new Session();
                sessions.add(session);
                Thread thread = new Thread(() -> serve(socket, session), "peer-session");
                thread.setDaemon(true);
                thread.start();
            } catch (IOException e) {
                // closed
                return;
            }
        }
    }

    private void serve(Socket socket, Session session) {
        try (socket) {
            try {
                new Conversation(socket, session).run();
            } finally {
                // before the client can see the end and connect again
                open.remove(socket);
            }
        } catch (IOException e) {
            // the client left or the handshake failed: tests look at what it did
        }
    }

    private final class Conversation {
        private final Session session;
        private final Socket accepted;
        private Socket socket;
        private InputStream in;
        private OutputStream out;
        private Optional<String> mail = Optional.empty();
        private final List<String> recipients = new ArrayList<>();
        private String lastReply = "";
        private boolean expectsBody;

        Conversation(Socket socket, Session session) throws IOException {
            this.accepted = socket;
            this.socket = socket;
            this.session = session;
            this.in = new BufferedInputStream(socket.getInputStream());
            this.out = socket.getOutputStream();
        }

        void run() throws IOException {
            if (script.implicitTls) {
                secure();
            }
            if (!act("CONNECT", "", "220 " + script.name + " ESMTP")) {
                return;
            }
            Optional<String> line = readLine();
            while (line.isPresent() && handle(line.get())) {
                line = readLine();
            }
        }

        private boolean handle(String line) throws IOException {
            session.commands.add(line);
            if (session.tlsProtocol.isEmpty()) {
                session.plaintextCommands.add(line);
            }
            String step = line.split("[ :]", 2)[0].toUpperCase(Locale.ROOT);
            return switch (step) {
                case "EHLO" -> act(step, line, ehlo());
                case "STARTTLS" -> startTls(line);
                case "AUTH" -> auth(line);
                case "MAIL" -> {
                    mail = Optional.empty();
                    recipients.clear();
                    yield act(step, line, "250 2.1.0 sender ok");
                }
                case "RCPT" -> act(step, line, mail.isEmpty() ? "503 5.5.1 MAIL first" : "250 2.1.5 recipient ok");
                case "DATA" -> {
                    if (!act(step, line, recipients.isEmpty() ? "554 5.5.1 no valid recipients" : "354 go ahead")) {
                        yield false;
                    }
                    yield !expectsBody || body();
                }
                case "RSET" -> {
                    mail = Optional.empty();
                    recipients.clear();
                    yield act(step, line, "250 2.0.0 reset");
                }
                case "QUIT" -> {
                    open.remove(accepted);
                    act(step, line, "221 2.0.0 bye");
                    yield false;
                }
                case "HELO", "NOOP" -> act(step, line, "250 " + script.name);
                default -> act(step, line, "500 5.5.2 unknown command");
            };
        }

        private String ehlo() {
            List<String> lines = new ArrayList<>();
            lines.add(script.name);
            boolean secure = session.tlsProtocol.isPresent();
            lines.addAll(secure ? script.extensionsAfterTls.orElse(script.extensions) : script.extensions);
            if (!secure && script.startTls != StartTls.NOT_OFFERED) {
                lines.add("STARTTLS");
            }
            if (secure && script.user.isPresent() && lines.stream().noneMatch(line -> line.startsWith("AUTH "))) {
                lines.add("AUTH PLAIN LOGIN");
            }
            StringBuilder reply = new StringBuilder();
            for (int i = 0; i < lines.size(); i++) {
                reply.append(i == 0 ? "" : "\r\n")
                        .append("250")
                        .append(i == lines.size() - 1 ? ' ' : '-')
                        .append(lines.get(i));
            }
            return reply.toString();
        }

        private boolean startTls(String line) throws IOException {
            String usual = script.startTls == StartTls.NOT_OFFERED ? "502 5.5.1 not offered" : "220 2.0.0 go ahead";
            if (!script.injectedWithStartTls.isEmpty()) {
                usual = usual + "\r\n" + script.injectedWithStartTls;
            }
            if (!act("STARTTLS", line, usual)) {
                return false;
            }
            if (!lastReply.startsWith("220")) {
                return true;
            }
            if (script.startTls == StartTls.SILENT) {
                in.transferTo(OutputStream.nullOutputStream());
                return false;
            }
            if (script.startTls == StartTls.BROKEN) {
                int clientHello = in.read();
                if (clientHello >= 0) {
                    say("this is no TLS");
                }
                return false;
            }
            secure();
            mail = Optional.empty();
            recipients.clear();
            return true;
        }

        private void secure() throws IOException {
            SSLSocket secured =
                    (SSLSocket) tls.orElseThrow().getSocketFactory().createSocket(socket, null, socket.getPort(), true);
            secured.setUseClientMode(false);
            secured.setEnabledProtocols(script.protocols.toArray(String[]::new));
            if (script.clientCertificateNeeded) {
                secured.setNeedClientAuth(true);
            } else if (script.clientCertificateWanted) {
                secured.setWantClientAuth(true);
            }
            secured.startHandshake();
            session.tlsProtocol = Optional.of(secured.getSession().getProtocol());
            session.tlsSince = secured.getSession().getCreationTime();
            session.tlsSessionId = HexFormat.of().formatHex(secured.getSession().getId());
            if (secured.getSession() instanceof ExtendedSSLSession extended) {
                session.serverName = extended.getRequestedServerNames().stream()
                        .filter(SNIHostName.class::isInstance)
                        .map(name -> ((SNIHostName) name).getAsciiName())
                        .findFirst();
            }
            try {
                session.clientChain = Arrays.stream(secured.getSession().getPeerCertificates())
                        .map(X509Certificate.class::cast)
                        .toList();
            } catch (SSLPeerUnverifiedException e) {
                session.clientChain = List.of();
            }
            socket = secured;
            in = new BufferedInputStream(secured.getInputStream());
            out = secured.getOutputStream();
        }

        private boolean auth(String line) throws IOException {
            String[] words = line.split(" ");
            String found =
                    switch (words[1].toUpperCase(Locale.ROOT)) {
                        case "PLAIN", "XOAUTH2" -> decode(words[2]);
                        case "LOGIN" -> {
                            say("334 VXNlcm5hbWU6");
                            String name = decode(readLine().orElse(""));
                            say("334 UGFzc3dvcmQ6");
                            yield "\0" + name + "\0" + decode(readLine().orElse(""));
                        }
                        default -> "";
                    };
            String name = script.user.orElse("");
            boolean good = found.equals("\0" + name + "\0" + script.password)
                    || found.equals("user=" + name + "\1auth=Bearer " + script.password + "\1\1");
            if (good) {
                session.user = Optional.of(name);
            }
            return act("AUTH", line, good ? "235 2.7.0 welcome" : "535 5.7.8 who are you");
        }

        private static String decode(String base64) {
            return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
        }

        private boolean body() throws IOException {
            ByteArrayOutputStream wire = new ByteArrayOutputStream();
            Optional<Action> action = next("BODY", "", false);
            if (action.filter(Action.StopReading.class::isInstance).isPresent()) {
                return waitForEnd();
            }
            if (action.isPresent() && action.get() instanceof Action.EarlyReply early) {
                next("BODY", "", true);
                say(early.text());
                return waitForEnd();
            }
            int state = 2;
            while (state != 5) {
                int next = in.read();
                if (next < 0) {
                    return false;
                }
                wire.write(next);
                // CRLF.CRLF, where the CRLF before the dot may be that of the DATA command
                state = switch (state) {
                    case 1 -> next == '\n' ? 2 : next == '\r' ? 1 : 0;
                    case 2 -> next == '.' ? 3 : next == '\r' ? 1 : 0;
                    case 3 -> next == '\r' ? 4 : 0;
                    case 4 -> next == '\n' ? 5 : next == '\r' ? 1 : 0;
                    default -> next == '\r' ? 1 : 0;
                };
            }
            if (session.tlsProtocol.isEmpty()) {
                session.plaintextCommands.add("(content of " + wire.size() + " bytes)");
            }
            ReceivedMessage message = new ReceivedMessage(session, mail.orElse(""), recipients, wire.toByteArray());
            mail = Optional.empty();
            recipients.clear();
            return act("BODY", "", "250 2.0.0 accepted", Optional.of(message));
        }

        private boolean act(String step, String line, String usual) throws IOException {
            return act(step, line, usual, Optional.empty());
        }

        /** Does what the script says, or the usual; false ends the conversation. */
        private boolean act(String step, String line, String usual, Optional<ReceivedMessage> message)
                throws IOException {
            Optional<Action> scripted = next(step, line, true);
            Action action = scripted.orElse(Action.reply(usual));
            if (action instanceof Action.Delay delay) {
                pause(delay.time());
                action = Action.reply(usual);
            }
            if (action instanceof Action.When when) {
                await(when.event());
                action = Action.reply(usual);
            }
            if (action instanceof Action.Renegotiate) {
                ((SSLSocket) socket).getSession().invalidate();
                ((SSLSocket) socket).startHandshake();
                action = Action.reply(usual);
            }
            if (action instanceof Action.Swallow) {
                lastReply = usual;
                remember(step, line, message);
                return true;
            }
            if (action instanceof Action.CloseNotify) {
                ((SSLSocket) socket).shutdownOutput();
                action = Action.silence();
            }
            lastReply = action instanceof Action.Reply reply
                    ? reply.text()
                    : action instanceof Action.ReplyThenDrop last
                            ? last.text()
                            : action instanceof Action.Drip drip ? drip.text() : "";
            remember(step, line, message);
            if (action instanceof Action.Reply) {
                say(lastReply);
                return true;
            }
            if (action instanceof Action.ReplyThenDrop) {
                say(lastReply);
                return false;
            }
            if (action instanceof Action.Drip drip) {
                for (byte next : (drip.text() + "\r\n").getBytes(StandardCharsets.UTF_8)) {
                    out.write(next);
                    out.flush();
                    pause(drip.perByte());
                }
                return true;
            }
            if (action instanceof Action.Silence) {
                in.transferTo(OutputStream.nullOutputStream());
            }
            return false;
        }

        private void remember(String step, String line, Optional<ReceivedMessage> message) {
            expectsBody = step.equals("DATA") && lastReply.startsWith("354");
            if (!lastReply.startsWith("2")) {
                return;
            }
            switch (step) {
                case "MAIL" -> mail = Optional.of(line);
                case "RCPT" -> recipients.add(line);
                case "BODY" -> message.filter(each -> !each.recipients().isEmpty())
                        .ifPresent(each -> {
                            session.messages.incrementAndGet();
                            messages.add(each);
                        });
                default -> {}
            }
        }

        private boolean waitForEnd() {
            pause(Duration.ofMinutes(5));
            return false;
        }

        private void await(CountDownLatch event) throws IOException {
            try {
                while (!event.await(100, TimeUnit.MILLISECONDS)) {
                    if (closed.getCount() == 0) {
                        socket.close();
                        return;
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void pause(Duration time) {
            try {
                if (closed.await(time.toMillis(), TimeUnit.MILLISECONDS)) {
                    socket.close();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private void say(String text) throws IOException {
            out.write((text + "\r\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        }

        private Optional<String> readLine() throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            int next = in.read();
            while (next >= 0 && next != '\n') {
                if (next != '\r') {
                    line.write(next);
                }
                next = in.read();
            }
            return next < 0 ? Optional.empty() : Optional.of(line.toString(StandardCharsets.UTF_8));
        }
    }

    private Optional<Action> next(String step, String line, boolean use) {
        for (Rule rule : script.rules) {
            if (rule.step().equals(step) && line.contains(rule.containing())) {
                if (rule.always()) {
                    return Optional.of(rule.actions().get(0));
                }
                AtomicInteger used = uses.computeIfAbsent(rule, key -> new AtomicInteger());
                int turn = use ? used.getAndIncrement() : used.get();
                if (turn < rule.actions().size()) {
                    return Optional.of(rule.actions().get(turn));
                }
            }
        }
        return Optional.empty();
    }
}
