/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.mtasts;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.xbill.DNS.Name;
import org.xbill.DNS.TXTRecord;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

import com.google.common.util.concurrent.MoreExecutors;

import dev.mailflow.delivery.https.HttpsClient;
import dev.mailflow.delivery.nexthop.DnsAnswer;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.state.StateFile;
import dev.mailflow.delivery.tls.TlsFault;

/**
 * Knows the MTA-STS policies of mail domains (RFC 8461): asks DNS whether there is a new one, fetches it by HTTPS, and
 * remembers it for its {@code max_age}, across restarts. A policy that is remembered holds even where DNS or the web
 * server no longer know of it, for that is what an attacker would bring about. One that cannot be fetched and is not
 * remembered does not hold (section 3.3); it is not asked for again for five minutes.
 *
 * <p>A policy that mail has asked for since it was fetched is fetched again before it gets old. A few at a time are, those
 * first that end first, and each at another age, so that those that were fetched together do not come due together. Nobody's
 * web server is asked for ever because of one mail.
 *
 * <p>Nothing blocks. Memory is bounded by {@value #MOST_POLICIES} policies; beyond, the one that ends first goes.
 */
public final class StsPolicies {
    private static final Logger LOGGER = LoggerFactory.getLogger(StsPolicies.class);
    private static final int MOST_POLICIES = 20_000;
    /** RFC 8461 section 3.3. */
    private static final Duration AFTER_FAILURE = Duration.ofMinutes(5);
    /** RFC 8461 section 3.2: 64 KiB are allowed to be too much. */
    private static final int LARGEST = 64 * 1024;
    /** How old a policy in use may get before it is fetched again, so that it does not end while mail is waiting. */
    private static final Duration REFRESH = Duration.ofDays(1);
    /** The last quarter of that time is what renewals are spread over. */
    private static final int SPREAD = 4;
    /** How many policies are renewed at a time. */
    private static final int MOST_RENEWALS = 10;
    /** How much longer a renewal that failed rests, at most; web servers that are gone must not keep others waiting. */
    private static final Duration AFTER_FAILED_RENEWAL = Duration.ofHours(1);

    private final DnsLookup dns;
    private final HttpsClient https;
    private final StateFile<Map<String, Kept>> file;
    private final Clock clock;
    private final Map<String, Kept> kept = new ConcurrentHashMap<>();
    private final Map<String, Failed> failures = new ConcurrentHashMap<>();
    private final Map<String, CompletableFuture<StsAnswer>> fetching = new ConcurrentHashMap<>();
    /** Whether the file lacks something that may be missing after a crash. */
    private final AtomicBoolean changed = new AtomicBoolean();

    private final Executor renewals = MoreExecutors.newSequentialExecutor(MoreExecutors.directExecutor());
    /** Whose policies are old; within {@link #renewals}. */
    private final Deque<String> due = new ArrayDeque<>();
    /** How many policies are being renewed; within {@link #renewals}. */
    private int renewing;

    /**
     * A policy as remembered.
     *
     * @param id of the TXT record that led to it
     * @param maxAge seconds
     * @param fetched seconds since 1970
     * @param used whether mail has asked for it since
     */
    record Kept(String id, String mode, long maxAge, List<String> mx, long fetched, boolean used) {
        StsPolicy policy() {
            return new StsPolicy(StsPolicy.Mode.valueOf(mode.toUpperCase(Locale.ROOT)), Duration.ofSeconds(maxAge), mx);
        }

        Instant end() {
            return Instant.ofEpochSecond(fetched).plusSeconds(maxAge);
        }

        /** When it gets old; the same whenever it is asked. */
        Instant due(String domain) {
            long latest = Math.min(REFRESH.toSeconds(), maxAge / 2);
            long spread = latest / SPREAD;
            long earlier = spread == 0 ? 0 : Math.floorMod((long) Objects.hash(domain, fetched), spread);
            return Instant.ofEpochSecond(fetched).plusSeconds(latest - earlier);
        }

        Kept inUse() {
            return new Kept(id, mode, maxAge, mx, fetched, true);
        }
    }

    private record Failed(String id, StsAnswer.Fault fault, Instant until) {}

    /** @param file what is remembered */
    public StsPolicies(DnsLookup dns, HttpsClient https, StateFile<Map<String, Kept>> file, Clock clock) {
        this.dns = dns;
        this.https = https;
        this.file = file;
        this.clock = clock;
        file.read().ifPresent(kept::putAll);
    }

    /** The type of what the file holds. */
    public static final class Memory extends com.fasterxml.jackson.core.type.TypeReference<Map<String, Kept>> {}

    /** @param domain in normal form */
    public CompletionStage<StsAnswer> ask(String domain) {
        Name name;
        try {
            name = Name.concatenate(Name.fromConstantString("_mta-sts"), Name.fromString(domain, Name.root));
        } catch (TextParseException | org.xbill.DNS.NameTooLongException e) {
            return CompletableFuture.completedFuture(StsAnswer.NONE);
        }
        return dns.ask(name, Type.TXT)
                .thenCompose(answer -> answer instanceof DnsAnswer.Unknown unknown
                        ? CompletableFuture.completedFuture(new StsAnswer(
                                known(domain).map(Kept::policy),
                                Optional.empty(),
                                Optional.of("MTA-STS policy of '" + domain + "': " + unknown.reason())))
                        : byId(domain, id(answer)))
                .whenComplete((answer, thrown) -> inUse(domain));
    }

    private void inUse(String domain) {
        Kept known = kept.get(domain);
        if (known != null && !known.used() && kept.replace(domain, known, known.inUse())) {
            changed.set(true);
        }
    }

    private Optional<Kept> known(String domain) {
        return Optional.ofNullable(kept.get(domain))
                .filter(each -> clock.instant().isBefore(each.end()));
    }

    private CompletionStage<StsAnswer> byId(String domain, Optional<String> id) {
        Optional<Kept> known = known(domain);
        boolean current =
                id.isEmpty() || known.filter(each -> each.id().equals(id.get())).isPresent();
        if (current) {
            return CompletableFuture.completedFuture(StsAnswer.of(known.map(Kept::policy), Optional.empty()));
        }
        Failed failed = failures.get(domain);
        if (failed != null && failed.id().equals(id.get()) && clock.instant().isBefore(failed.until())) {
            return CompletableFuture.completedFuture(
                    StsAnswer.of(known.map(Kept::policy), Optional.of(failed.fault())));
        }
        return fetch(domain, id.get());
    }

    /** RFC 8461 section 3.1: of several records, or none, none counts. */
    private static Optional<String> id(DnsAnswer answer) {
        List<String> ids = new ArrayList<>();
        int policies = 0;
        if (answer instanceof DnsAnswer.Found found) {
            for (var each : found.records()) {
                if (each instanceof TXTRecord text) {
                    String whole = String.join("", text.getStrings());
                    if (whole.matches("v=STSv1\\s*;.*")) {
                        policies++;
                        for (String field : whole.split(";", -1)) {
                            String trimmed = field.strip();
                            if (trimmed.matches("id=[A-Za-z0-9]{1,32}")) {
                                ids.add(trimmed.substring(3));
                            }
                        }
                    }
                }
            }
        }
        return policies == 1 && ids.size() == 1 ? Optional.of(ids.get(0)) : Optional.empty();
    }

    private CompletionStage<StsAnswer> fetch(String domain, String id) {
        CompletableFuture<StsAnswer> mine = new CompletableFuture<>();
        CompletableFuture<StsAnswer> others = fetching.putIfAbsent(domain, mine);
        if (others != null) {
            return others;
        }
        return https.get("mta-sts." + domain, "/.well-known/mta-sts.txt", LARGEST)
                .handle((response, thrown) -> {
                    StsAnswer answer = thrown == null
                            ? fetched(domain, id, response)
                            : failed(
                                    domain,
                                    id,
                                    HttpsClient.isCertificateFault(thrown)
                                            ? TlsFault.STS_WEBPKI_INVALID
                                            : TlsFault.STS_POLICY_FETCH_ERROR,
                                    describe(thrown));
                    fetching.remove(domain);
                    mine.complete(answer);
                    return answer;
                });
    }

    private StsAnswer fetched(String domain, String id, HttpsClient.Response response) {
        if (response.status() != 200) {
            return failed(
                    domain,
                    id,
                    TlsFault.STS_POLICY_FETCH_ERROR,
                    "the server answered " + response.status() + ", expected 200");
        }
        if (!response.mediaType().equals("text/plain")) {
            return failed(
                    domain,
                    id,
                    TlsFault.STS_POLICY_FETCH_ERROR,
                    "found media type '" + response.mediaType() + "', expected text/plain");
        }
        StsPolicy policy;
        try {
            policy = StsPolicy.parse(response.text());
        } catch (IllegalArgumentException e) {
            return failed(domain, id, TlsFault.STS_POLICY_INVALID, e.getMessage());
        }
        failures.remove(domain);
        Kept fresh = new Kept(
                id,
                policy.mode().toString(),
                policy.maxAge().toSeconds(),
                policy.mx(),
                clock.instant().getEpochSecond(),
                false);
        Kept before = kept.put(domain, fresh);
        makeRoom();
        if (before == null || !before.policy().equals(policy)) {
            LOGGER.info("MTA-STS policy {} of {}: {}", id, domain, String.join("; ", policy.lines()));
            write();
        } else {
            // a crash before it is written makes the policy end as early as before
            changed.set(true);
        }
        return StsAnswer.of(Optional.of(policy), Optional.empty());
    }

    private StsAnswer failed(String domain, String id, TlsFault kind, String reason) {
        Optional<Kept> known = known(domain);
        StsAnswer.Fault fault = new StsAnswer.Fault(kind, "MTA-STS policy of '" + domain + "': " + reason);
        LOGGER.warn(
                "{}; {}",
                fault.reason(),
                known.map(each -> "policy " + each.id() + " holds until " + each.end())
                        .orElse("none is known, so none holds"));
        if (failures.size() >= MOST_POLICIES) {
            failures.values().removeIf(each -> !clock.instant().isBefore(each.until()));
        }
        failures.put(domain, new Failed(id, fault, clock.instant().plus(AFTER_FAILURE)));
        return StsAnswer.of(known.map(Kept::policy), Optional.of(fault));
    }

    private void write() {
        changed.set(false);
        file.write(Map.copyOf(kept));
    }

    private void makeRoom() {
        Instant now = clock.instant();
        if (kept.size() > MOST_POLICIES) {
            kept.values().removeIf(each -> !now.isBefore(each.end()));
        }
        if (kept.size() > MOST_POLICIES) {
            kept.entrySet().stream()
                    .min(Comparator.comparing(entry -> entry.getValue().end()))
                    .ifPresent(entry -> kept.remove(entry.getKey(), entry.getValue()));
        }
    }

    /** Forgets what has ended, fetches again what gets old, and writes down what changed; to be called now and then. */
    public void refresh() {
        Instant now = clock.instant();
        if (kept.values().removeIf(each -> !now.isBefore(each.end())) || changed.get()) {
            write();
        }
        List<String> old = kept.entrySet().stream()
                .filter(each -> isDue(each.getKey(), each.getValue(), now))
                .sorted(Comparator.comparing(each -> each.getValue().end()))
                .map(Map.Entry::getKey)
                .toList();
        renewals.execute(() -> {
            due.clear();
            due.addAll(old);
            renewNext();
        });
    }

    private boolean isDue(String domain, Kept each, Instant now) {
        if (!each.used() || !now.isAfter(each.due(domain)) || fetching.containsKey(domain)) {
            return false;
        }
        Failed failed = failures.get(domain);
        Duration share = Duration.ofSeconds(each.maxAge() / 10);
        Duration rest = AFTER_FAILED_RENEWAL.compareTo(share) < 0 ? AFTER_FAILED_RENEWAL : share;
        return failed == null || !now.isBefore(failed.until().plus(rest));
    }

    /** Within {@link #renewals}. */
    @SuppressWarnings("FutureReturnValueIgnored") // whoever needs the policy asks for it
    private void renewNext() {
        while (renewing < MOST_RENEWALS && !due.isEmpty()) {
            String domain = due.poll();
            Kept old = kept.get(domain);
            if (old != null && isDue(domain, old, clock.instant())) {
                renewing++;
                fetch(domain, old.id())
                        .whenComplete((answer, thrown) -> renewals.execute(() -> {
                            renewing--;
                            renewNext();
                        }));
            }
        }
    }

    /** Writes down what changed. */
    public void close() {
        if (changed.get()) {
            write();
        }
    }

    private static String describe(Throwable thrown) {
        Throwable cause =
                thrown instanceof CompletionException && thrown.getCause() != null ? thrown.getCause() : thrown;
        return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    }
}
