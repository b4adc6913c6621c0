/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.smtp;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;

import javax.net.ssl.SSLSession;

import dev.mailflow.delivery.SmtpReply;
import dev.mailflow.delivery.SmtpTimeouts;
import dev.mailflow.delivery.smtp.HopFailure.Kind;
import dev.mailflow.delivery.tls.CertificateRefusedException;
import dev.mailflow.delivery.tls.PublishedTrust;
import dev.mailflow.delivery.tls.TlsClients;
import dev.mailflow.delivery.tls.TlsFault;
import dev.mailflow.policy.connector.Credentials;
import dev.mailflow.policy.connector.TlsLevel;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;

/**
 * Opens connections: TCP, greeting, EHLO, TLS as the terms demand, EHLO again, AUTH. A connection that it hands out
 * keeps its terms; where they cannot be kept there is no connection, and the mail waits.
 *
 * <p>Only level {@code opportunistic}, where nothing published demands more, ever gets plaintext after TLS went wrong, and
 * then on a new connection: the one
 * on which a handshake failed is in an unknown state.
 */
// the chains that are not kept end in one that is
@SuppressWarnings("FutureReturnValueIgnored")
public final class SmtpDialer {
    private static final String NOT_ACCEPTED = "4.7.5";
    /** In characters; no password is as long as that. */
    private static final int TOKEN_LENGTH = 200;

    private final EventLoopGroup eventLoops;
    private final TlsClients tls;
    private final Executor tlsTasks;
    private final Executor workers;
    private final SmtpTimeouts timeouts;
    private final String heloName;
    private final Optional<InetAddress> sourceAddress;

    /**
     * @param tlsTasks runs certificate checks, which may block
     * @param workers reads message content, which may block
     */
    public SmtpDialer(
            EventLoopGroup eventLoops,
            TlsClients tls,
            Executor tlsTasks,
            Executor workers,
            SmtpTimeouts timeouts,
            String heloName,
            Optional<InetAddress> sourceAddress) {
        this.eventLoops = eventLoops;
        this.tls = tls;
        this.tlsTasks = tlsTasks;
        this.workers = workers;
        this.timeouts = timeouts;
        this.heloName = heloName;
        this.sourceAddress = sourceAddress;
    }

    /** Opens a connection; completes exceptionally with a {@link HopFailure.HopFailureException} only. */
    public CompletionStage<SmtpConnection> open(HopAddress hop, SessionTerms terms) {
        return open(hop, terms, () -> {});
    }

    /**
     * The same.
     *
     * @param answered is run when the TCP connection is there, on its event loop
     */
    public CompletionStage<SmtpConnection> open(HopAddress hop, SessionTerms terms, Runnable answered) {
        TlsLevel level = terms.tls().level();
        if (level == TlsLevel.NONE && hop.implicitTls()) {
            String reason = "connector '" + terms.connector() + "' forbids TLS, but port " + hop.port() + " of "
                    + hop.host() + " speaks nothing else";
            return CompletableFuture.failedFuture(
                    new HopFailure(Kind.TLS, NOT_ACCEPTED, reason, Optional.empty(), Optional.of(hop.used()))
                            .asException());
        }
        CompletableFuture<SmtpConnection> first = attempt(hop, terms, level != TlsLevel.NONE, answered);
        if (level == TlsLevel.NONE || terms.requiresTls() || hop.implicitTls()) {
            return first;
        }
        return first.handle((connection, thrown) -> {
                    if (thrown == null) {
                        return CompletableFuture.completedFuture(connection);
                    }
                    HopFailure failure = HopFailure.of(thrown, Optional.of(hop.used()));
                    return failure.kind() == Kind.TLS
                            ? attempt(hop, terms, false, answered)
                            : CompletableFuture.<SmtpConnection>failedFuture(failure.asException());
                })
                .thenCompose(next -> next);
    }

    private CompletableFuture<SmtpConnection> attempt(
            HopAddress hop, SessionTerms terms, boolean useTls, Runnable answered) {
        boolean tlsGivenUp = !useTls && terms.tls().level() != TlsLevel.NONE;
        SmtpConnection connection = new SmtpConnection(hop, terms.connector(), timeouts, workers, tlsGivenUp);
        Session session = new Session(connection, terms, useTls);
        Bootstrap bootstrap = new Bootstrap()
                .group(eventLoops)
                .channel(NioSocketChannel.class)
                .option(ChannelOption.TCP_NODELAY, true)
                .option(ChannelOption.SO_KEEPALIVE, true)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int)
                        timeouts.connect().toMillis())
                .handler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(connection.handler(channel));
                        session.begin();
                    }
                });
        InetSocketAddress target = new InetSocketAddress(hop.address(), hop.port());
        ChannelFuture connect = sourceAddress
                .filter(source -> source.getClass() == hop.address().getClass())
                .map(source -> bootstrap.connect(target, new InetSocketAddress(source, 0)))
                .orElseGet(() -> bootstrap.connect(target));
        connect.addListener(done -> {
            if (done.isSuccess()) {
                answered.run();
            } else {
                session.unreachable(done.cause());
            }
        });
        return session.ready;
    }

    /** How one connection is brought to the point where it can take messages; on its event loop. */
    private final class Session {
        private final SmtpConnection connection;
        private final SessionTerms terms;
        private final boolean useTls;
        private final HopAddress hop;
        private final CompletableFuture<SmtpConnection> ready = new CompletableFuture<>();
        private boolean secured;

        Session(SmtpConnection connection, SessionTerms terms, boolean useTls) {
            this.connection = connection;
            this.terms = terms;
            this.useTls = useTls;
            this.hop = connection.address();
        }

        void unreachable(Throwable cause) {
            connection.disarm();
            String detail = cause.getMessage() == null
                    ? cause.getClass().getSimpleName()
                    : cause.getMessage().replaceAll("\\p{Cntrl}+", " ");
            ready.completeExceptionally(new HopFailure(
                            Kind.UNREACHABLE,
                            "4.4.1",
                            "cannot connect to " + hop + ": " + detail,
                            Optional.empty(),
                            Optional.of(hop.used()))
                    .asException());
        }

        void begin() {
            CompletableFuture<Void> tlsFirst = hop.implicitTls() ? secure() : CompletableFuture.completedFuture(null);
            // Awaited from the start, so that a greeting that follows the handshake at once finds its place. Its time
            // runs from connecting on, hence includes that of the steps before it.
            CompletableFuture<SmtpReply> greeting = connection.expect(
                    "the connection", Optional.of(timeouts.connect().plus(timeouts.greeting())));
            tlsFirst.thenCompose(done -> greeting)
                    .thenCompose(this::greeted)
                    .thenCompose(done -> terms.credentials()
                            .map(this::authenticate)
                            .orElseGet(() -> CompletableFuture.completedFuture(null)))
                    .whenComplete((done, thrown) -> {
                        if (thrown == null) {
                            ready.complete(connection);
                            return;
                        }
                        HopFailure failure = HopFailure.of(thrown, Optional.of(connection.hop()));
                        connection.abort(Optional.of(failure));
                        ready.completeExceptionally(failure.asException());
                    });
        }

        private CompletableFuture<Void> greeted(SmtpReply greeting) {
            if (greeting.code() != 220) {
                return refused("greeted us with: ", greeting, Kind.REFUSED);
            }
            return ehlo().thenCompose(done -> {
                if (!useTls || secured) {
                    return CompletableFuture.completedFuture(null);
                }
                if (connection.capabilities().startTls()) {
                    return startTls();
                }
                return terms.requiresTls()
                        ? CompletableFuture.failedFuture(connection
                                .failure(
                                        Kind.TLS,
                                        "4.7.4",
                                        "TLS required by " + demander() + " but host " + hop
                                                + " did not offer STARTTLS")
                                .because(TlsFault.STARTTLS_NOT_SUPPORTED)
                                .forGood()
                                .asException())
                        : CompletableFuture.completedFuture(null);
            });
        }

        private String demander() {
            return terms.tls().level().requiresTls()
                    ? "connector '" + terms.connector() + "'"
                    : terms.published().orElseThrow() instanceof PublishedTrust.Dane dane
                            ? "the TLSA records at " + dane.owner()
                            : "the MTA-STS policy of the domain";
        }

        private CompletableFuture<Void> ehlo() {
            return connection.command("EHLO " + heloName, timeouts.command()).thenCompose(reply -> {
                if (reply.code() == 250) {
                    connection.capabilities(EhloCapabilities.of(reply));
                    return CompletableFuture.completedFuture(null);
                }
                if (!reply.isPermanent()) {
                    return refused("refused EHLO: ", reply, Kind.REFUSED);
                }
                connection.capabilities(EhloCapabilities.NONE);
                return connection
                        .command("HELO " + heloName, timeouts.command())
                        .thenCompose(second -> second.code() == 250
                                ? CompletableFuture.completedFuture(null)
                                : refused("refused HELO: ", second, Kind.REFUSED));
            });
        }

        private CompletableFuture<Void> startTls() {
            return connection.command("STARTTLS", timeouts.command()).thenCompose(reply -> {
                if (reply.code() != 220) {
                    HopFailure failure = connection.failure(
                            Kind.TLS,
                            reply,
                            hop + " offered STARTTLS, which connector '" + terms.connector()
                                    + "' asked for, and then refused it: " + reply);
                    // RFC 3207 section 4: 454 is "not available due to temporary reason"
                    return CompletableFuture.failedFuture(
                            (reply.isPermanent() ? failure.forGood() : failure).asException());
                }
                // RFC 3207 section 4.2: what was said before TLS is not to be believed
                connection.capabilities(EhloCapabilities.NONE);
                return secure().thenCompose(done -> ehlo());
            });
        }

        private CompletableFuture<Void> secure() {
            secured = true;
            try {
                return connection
                        .startTls(tls.engine(terms.tls(), terms.published(), hop.host(), hop.port()), tlsTasks)
                        .thenCompose(this::verify);
            } catch (GeneralSecurityException e) {
                return fail(Kind.TLS, NOT_ACCEPTED, "connector '" + terms.connector() + "': " + e.getMessage());
            }
        }

        private CompletableFuture<Void> verify(SSLSession session) {
            try {
                connection.tlsEstablished(
                        tls.verify(session, terms.tls(), terms.identity(), terms.published()), session);
                return CompletableFuture.completedFuture(null);
            } catch (CertificateRefusedException e) {
                // a session that failed must not be resumed
                session.invalidate();
                return CompletableFuture.failedFuture(connection.tlsFailure(e).asException());
            }
        }

        private CompletableFuture<Void> authenticate(Credentials credentials) {
            if (!secured) {
                return fail(
                        Kind.AUTHENTICATION,
                        "4.7.11",
                        "credentials of user '" + credentials.user() + "' of connector '" + terms.connector()
                                + "' are sent over TLS only, and " + hop + " gave none");
            }
            Set<String> offered = connection.capabilities().authMechanisms();
            CompletableFuture<SmtpReply> answer;
            boolean token = isToken(credentials.secret().reveal());
            if (offered.contains("XOAUTH2") && token) {
                answer = bearer(credentials);
            } else if (offered.contains("PLAIN")) {
                answer = secret("AUTH PLAIN " + base64(plainResponse(credentials)), "AUTH PLAIN");
            } else if (offered.contains("LOGIN")) {
                answer = secret("AUTH LOGIN", "AUTH LOGIN")
                        .thenCompose(reply -> reply.code() == 334
                                ? secret(base64(credentials.user()), "the user name")
                                : CompletableFuture.completedFuture(reply))
                        .thenCompose(reply -> reply.code() == 334
                                ? secret(base64(credentials.secret().reveal()), "the password")
                                : CompletableFuture.completedFuture(reply));
            } else if (offered.contains("XOAUTH2")) {
                answer = bearer(credentials);
            } else {
                return fail(
                        Kind.AUTHENTICATION,
                        "4.7.4",
                        hop + " offers "
                                + (offered.isEmpty() ? "no authentication" : "AUTH " + String.join(" ", offered))
                                + ", expected PLAIN, LOGIN or XOAUTH2 for user '" + credentials.user()
                                + "' of connector '" + terms.connector() + "'");
            }
            return answer.thenCompose(reply -> reply.code() == 235
                    ? CompletableFuture.completedFuture(null)
                    : refused(
                            "did not accept the credentials of user '" + credentials.user() + "' of connector '"
                                    + terms.connector() + "': ",
                            masked(reply, credentials),
                            Kind.AUTHENTICATION));
        }

        private CompletableFuture<SmtpReply> bearer(Credentials credentials) {
            return secret("AUTH XOAUTH2 " + base64(bearerResponse(credentials)), "AUTH XOAUTH2")
                    // 334 carries the reason; an empty answer brings the final reply
                    .thenCompose(reply -> reply.code() == 334
                            ? secret("", "AUTH XOAUTH2")
                            : CompletableFuture.completedFuture(reply));
        }

        private static String bearerResponse(Credentials credentials) {
            return "user=" + credentials.user() + "\1auth=Bearer "
                    + credentials.secret().reveal() + "\1\1";
        }

        private static String plainResponse(Credentials credentials) {
            return "\0" + credentials.user() + "\0" + credentials.secret().reveal();
        }

        /** A next hop may repeat what it was told; what it says goes to logs and reports. */
        private SmtpReply masked(SmtpReply reply, Credentials credentials) {
            String secret = credentials.secret().reveal();
            // longest first: one may be the end of another
            List<String> told = List.of(
                    base64(bearerResponse(credentials)), base64(plainResponse(credentials)), base64(secret), secret);
            return new SmtpReply(
                    reply.code(),
                    reply.lines().stream()
                            .map(line -> told.stream()
                                    .filter(text -> !text.isEmpty())
                                    .reduce(line, (masked, text) -> masked.replace(text, "(secret)")))
                            .toList());
        }

        private CompletableFuture<SmtpReply> secret(String line, String shown) {
            return connection.command(line, shown, timeouts.command());
        }

        private CompletableFuture<Void> refused(String how, SmtpReply reply, Kind kind) {
            return CompletableFuture.failedFuture(
                    connection.failure(kind, reply, hop + " " + how + reply).asException());
        }

        private CompletableFuture<Void> fail(Kind kind, String status, String reason) {
            return CompletableFuture.failedFuture(
                    connection.failure(kind, status, reason).asException());
        }
    }

    /** Next hops that take tokens take passwords too: which of them the secret is only its looks tell. */
    private static boolean isToken(String secret) {
        return secret.length() >= TOKEN_LENGTH || secret.startsWith("eyJ") || secret.startsWith("ya29.");
    }

    private static String base64(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
