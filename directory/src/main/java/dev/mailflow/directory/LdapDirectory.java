/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.directory;

import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import javax.mail.internet.AddressException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

import org.apache.james.core.MailAddress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.common.base.Ticker;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import com.google.common.util.concurrent.ThreadFactoryBuilder;
import com.unboundid.ldap.sdk.BindRequest;
import com.unboundid.ldap.sdk.Filter;
import com.unboundid.ldap.sdk.LDAPConnectionOptions;
import com.unboundid.ldap.sdk.LDAPConnectionPool;
import com.unboundid.ldap.sdk.LDAPException;
import com.unboundid.ldap.sdk.PostConnectProcessor;
import com.unboundid.ldap.sdk.SearchRequest;
import com.unboundid.ldap.sdk.SearchResult;
import com.unboundid.ldap.sdk.SearchResultEntry;
import com.unboundid.ldap.sdk.SearchScope;
import com.unboundid.ldap.sdk.SimpleBindRequest;
import com.unboundid.ldap.sdk.SingleServerSet;
import com.unboundid.ldap.sdk.StartTLSPostConnectProcessor;
import com.unboundid.util.ssl.HostNameSSLSocketVerifier;
import com.unboundid.util.ssl.SSLUtil;

import dev.mailflow.policy.certificate.TrustAnchors;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.LdapSettings;
import dev.mailflow.policy.hybrid.MailboxPlace;

/**
 * Asks a directory server, such as Active Directory, where a mailbox is: an entry whose {@code targetAddress} is set lives
 * where that says, any other entry that the filter finds is here.
 *
 * <p>A bounded pool of connections serves a bounded number of threads. Answers are remembered, "nobody" for a shorter time,
 * and both in bounded number; any number of questions for one address at one time ask once. When the server does not answer,
 * a question fails at once for a moment, so that a dead server does not hold every SMTP session for its whole time limit.
 *
 * <p>Fails closed: a server that is down, refuses, answers twice differently or with something that is no address makes
 * mail wait. The administrator sees one warning with the server and the reason, and one line when it answers again.
 */
final class LdapDirectory implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(LdapDirectory.class);
    private static final String TARGET = "targetAddress";
    private static final String SMTP = "smtp:";
    /** One entry is the rule; more than one must agree. */
    private static final int MOST_ENTRIES = 10;

    private static final int MOST_WAITING = 10_000;
    private static final Duration PAUSE_AFTER_FAILURE = Duration.ofSeconds(1);

    private final LdapSettings settings;
    private final Ticker ticker;
    private final LDAPConnectionPool pool;
    private final ThreadPoolExecutor threads;
    private final Cache<MailAddress, MailboxPlace> known;
    private final Cache<MailAddress, MailboxPlace> unknown;
    private final Map<MailAddress, CompletableFuture<MailboxPlace>> underWay = new ConcurrentHashMap<>();
    private volatile Optional<Failure> failure = Optional.empty();

    /** Whether whoever asks may wait. */
    enum Patience {
        WAITS,
        NONE
    }

    private record Failure(long until, String reason) {}

    LdapDirectory(LdapSettings settings) {
        this(settings, Ticker.systemTicker());
    }

    LdapDirectory(LdapSettings settings, Ticker ticker) {
        this.settings = settings;
        this.ticker = ticker;
        this.pool = pool(settings);
        this.threads = new ThreadPoolExecutor(
                settings.connections(),
                settings.connections(),
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(MOST_WAITING),
                new ThreadFactoryBuilder()
                        .setNameFormat("mailflow-ldap-%d")
                        .setDaemon(true)
                        .build());
        threads.allowCoreThreadTimeOut(true);
        this.known = cache(settings.cacheFor());
        this.unknown = cache(settings.unknownFor());
    }

    private Cache<MailAddress, MailboxPlace> cache(Duration lifetime) {
        return CacheBuilder.newBuilder()
                .expireAfterWrite(lifetime)
                .maximumSize(settings.cacheSize())
                .ticker(ticker)
                .build();
    }

    private static LDAPConnectionPool pool(LdapSettings settings) {
        LDAPConnectionOptions options = new LDAPConnectionOptions();
        int millis = Math.toIntExact(Math.min(settings.timeout().toMillis(), Integer.MAX_VALUE));
        options.setConnectTimeoutMillis(millis);
        options.setResponseTimeoutMillis(millis);
        options.setFollowReferrals(false);
        options.setUseSynchronousMode(true);
        boolean secured = settings.security() != LdapSettings.Security.PLAIN;
        // for StartTLS too: the name is checked once the socket is secured
        options.setSSLSocketVerifier(new HostNameSSLSocketVerifier(true));
        BindRequest bind = settings.user().isPresent()
                ? new SimpleBindRequest(
                        settings.user().get(),
                        settings.secret().map(secret -> secret.reveal()).orElse(""))
                : new SimpleBindRequest();
        try {
            SSLContext tls = secured ? context(settings.trustAnchors()) : null;
            SingleServerSet server = settings.security() == LdapSettings.Security.TLS
                    ? new SingleServerSet(settings.host(), settings.port(), tls.getSocketFactory(), options)
                    : new SingleServerSet(settings.host(), settings.port(), options);
            PostConnectProcessor startTls = settings.security() == LdapSettings.Security.START_TLS
                    ? new StartTLSPostConnectProcessor(tls)
                    : null;
            // no connection yet: a server that is down must not keep the policy from coming into force
            LDAPConnectionPool pool = new LDAPConnectionPool(server, bind, 0, settings.connections(), startTls, false);
            pool.setCreateIfNecessary(true);
            pool.setMaxWaitTimeMillis(millis);
            pool.setMaxConnectionAgeMillis(TimeUnit.MINUTES.toMillis(10));
            pool.setRetryFailedOperationsDueToInvalidConnections(true);
            return pool;
        } catch (LDAPException | GeneralSecurityException e) {
            throw new IllegalStateException("no connection to " + settings.url() + " can be prepared", e);
        }
    }

    private static SSLContext context(TrustAnchors anchors) throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        if (anchors.isJdk()) {
            factory.init((KeyStore) null);
        } else {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            try {
                store.load(null, null);
            } catch (IOException e) {
                throw new GeneralSecurityException(e);
            }
            int i = 0;
            for (X509Certificate certificate : anchors.certificates()) {
                store.setCertificateEntry("anchor-" + i++, certificate);
            }
            factory.init(store);
        }
        TrustManager[] managers = factory.getTrustManagers();
        return new SSLUtil(managers).createSSLContext();
    }

    LdapSettings settings() {
        return settings;
    }

    MailboxPlace find(MailAddress address, Patience patience) throws DirectoryUnavailableException {
        MailboxPlace remembered = known.getIfPresent(address);
        if (remembered == null) {
            remembered = unknown.getIfPresent(address);
        }
        if (remembered != null) {
            return remembered;
        }
        Optional<Failure> recent = failure.filter(last -> last.until() - ticker.read() > 0);
        if (recent.isPresent()) {
            throw unavailable(recent.get().reason());
        }
        CompletableFuture<MailboxPlace> answer = ask(address);
        if (patience == Patience.NONE && !answer.isDone()) {
            throw unavailable("the answer for " + address + " is on its way");
        }
        return await(answer, address);
    }

    private CompletableFuture<MailboxPlace> ask(MailAddress address) throws DirectoryUnavailableException {
        CompletableFuture<MailboxPlace> mine = new CompletableFuture<>();
        CompletableFuture<MailboxPlace> asked = underWay.putIfAbsent(address, mine);
        if (asked != null) {
            return asked;
        }
        try {
            threads.execute(() -> answer(address, mine));
        } catch (RejectedExecutionException e) {
            underWay.remove(address, mine);
            throw unavailable("more than " + MOST_WAITING + " questions are waiting for it", e);
        }
        return mine;
    }

    private void answer(MailAddress address, CompletableFuture<MailboxPlace> answer) {
        try {
            MailboxPlace place = search(address);
            (place instanceof MailboxPlace.Nowhere ? unknown : known).put(address, place);
            if (failure.isPresent()) {
                failure = Optional.empty();
                LOGGER.info("Directory {} answers again", settings.url());
            }
            answer.complete(place);
        } catch (LDAPException e) {
            // an exception of the SDK names the server and never the password
            failed(e.getMessage());
            answer.completeExceptionally(e);
        } catch (RuntimeException e) {
            failed(e.toString());
            answer.completeExceptionally(e);
        } catch (DirectoryUnavailableException e) {
            // about this entry, not about the server
            LOGGER.warn("{}", e.getMessage());
            answer.completeExceptionally(e);
        } finally {
            underWay.remove(address, answer);
        }
    }

    private void failed(String reason) {
        if (failure.isEmpty()) {
            LOGGER.warn("Directory {} cannot be asked, mail for shared domains waits: {}", settings.url(), reason);
        }
        failure = Optional.of(new Failure(ticker.read() + PAUSE_AFTER_FAILURE.toNanos(), reason));
    }

    private MailboxPlace await(CompletableFuture<MailboxPlace> answer, MailAddress address)
            throws DirectoryUnavailableException {
        // connecting, binding and searching have this limit each
        long limit = 3 * settings.timeout().toMillis();
        try {
            return answer.get(limit, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof DirectoryUnavailableException told
                    ? new DirectoryUnavailableException(told.getMessage(), told)
                    : unavailable(reason(e.getCause()), e.getCause());
        } catch (TimeoutException e) {
            throw unavailable("no answer for " + address + " within " + limit + " ms", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw unavailable("interrupted while waiting for an answer", e);
        }
    }

    private static String reason(Throwable cause) {
        return cause instanceof LDAPException ofServer ? ofServer.getMessage() : String.valueOf(cause);
    }

    private DirectoryUnavailableException unavailable(String reason) {
        return new DirectoryUnavailableException("directory " + settings.url() + ": " + reason);
    }

    private DirectoryUnavailableException unavailable(String reason, Throwable cause) {
        return new DirectoryUnavailableException("directory " + settings.url() + ": " + reason, cause);
    }

    private MailboxPlace search(MailAddress address) throws LDAPException, DirectoryUnavailableException {
        Filter filter = Filter.create(
                settings.filter().replace(LdapSettings.PLACEHOLDER, Filter.encodeValue(address.asString())));
        SearchRequest request = new SearchRequest(settings.base(), SearchScope.SUB, filter, TARGET);
        request.setSizeLimit(MOST_ENTRIES);
        request.setResponseTimeoutMillis(settings.timeout().toMillis());
        SearchResult result = pool.search(request);
        Set<Optional<MailAddress>> targets = new HashSet<>();
        for (SearchResultEntry entry : result.getSearchEntries()) {
            targets.add(target(entry));
        }
        if (targets.isEmpty()) {
            return new MailboxPlace.Nowhere("not in directory " + settings.url());
        }
        String names = String.join(
                "; ",
                result.getSearchEntries().stream().map(SearchResultEntry::getDN).toList());
        if (targets.size() > 1) {
            throw unavailable("found several entries for " + address + " that live in different places (" + names
                    + "), expected one");
        }
        return targets.iterator()
                .next()
                .<MailboxPlace>map(target -> new MailboxPlace.Away(Optional.of(target), "entry " + names))
                .orElseGet(() -> new MailboxPlace.Here("entry " + names));
    }

    private Optional<MailAddress> target(SearchResultEntry entry) throws DirectoryUnavailableException {
        String[] values = entry.getAttributeValues(TARGET);
        if (values == null) {
            return Optional.empty();
        }
        String value = values[0].trim();
        String address = value.toLowerCase(Locale.ROOT).startsWith(SMTP) ? value.substring(SMTP.length()) : value;
        try {
            if (values.length == 1) {
                return Optional.of(new MailAddress(address));
            }
        } catch (AddressException e) {
            throw unavailable(wrongTarget(entry, value), e);
        }
        throw unavailable(wrongTarget(entry, Arrays.toString(values)));
    }

    private static String wrongTarget(SearchResultEntry entry, String value) {
        return TARGET + " of entry " + entry.getDN() + ": found '" + value + "', expected one SMTP address";
    }

    @Override
    public void close() {
        threads.shutdownNow();
        pool.close();
    }
}
