/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;

import javax.mail.MessagingException;
import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.xbill.DNS.Name;
import org.xbill.DNS.NameTooLongException;
import org.xbill.DNS.TXTRecord;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

import com.fasterxml.jackson.core.type.TypeReference;

import dev.mailflow.delivery.https.HttpsClient;
import dev.mailflow.delivery.nexthop.DnsAnswer;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.state.StateFile;

/**
 * Counts how TLS with the MX hosts of mail domains went and reports it, once a day and domain, to whom the domain names in
 * DNS (RFC 8460). Nothing is kept of domains that name nobody. Days are those of UTC; the report leaves in the first four
 * hours of the next one, at a time that differs from domain to domain, and is tried every hour for a day.
 *
 * <p>What is counted and where it has been sent outlives a restart; a crash loses at most the last minute's counts. A
 * crash between sending a report and writing that down sends it twice, with the same identifier.
 */
public final class TlsReports implements TlsSession.Observer {
    private static final Logger LOGGER = LoggerFactory.getLogger(TlsReports.class);
    private static final int MOST_DOMAINS = 20_000;
    private static final int MOST_DESTINATIONS = 5;
    private static final Duration SPREAD = Duration.ofHours(4);
    private static final Duration PAUSE = Duration.ofHours(1);
    private static final Duration GIVE_UP = Duration.ofDays(1);

    private final DnsLookup dns;
    private final HttpsClient https;
    private final ReportSettings settings;
    private final StateFile<Map<String, Map<String, DailySheet>>> file;
    private final Executor blocking;
    private final Clock clock;

    /** By day, then by domain; guarded by this. */
    private final Map<String, Map<String, DailySheet>> days = new HashMap<>();
    /** Domains that were asked today whether they want reports; true: they do. Guarded by this. */
    private final Map<String, Boolean> asked = new HashMap<>();
    /** What is being sent: day and domain. Guarded by this. */
    private final Set<String> sending = new HashSet<>();
    /** Held while what changed is written, lest the older overwrite the newer; taken before this, and never to observe. */
    private final Object writing = new Object();
    /** Whether a write waits for its turn. */
    private final AtomicBoolean writeWaits = new AtomicBoolean();

    private LocalDate today;
    private boolean changed;

    /** The type of what the file holds. */
    public static final class Memory extends TypeReference<Map<String, Map<String, DailySheet>>> {}

    /** @param blocking composes and queues mail */
    public TlsReports(
            DnsLookup dns,
            HttpsClient https,
            ReportSettings settings,
            StateFile<Map<String, Map<String, DailySheet>>> file,
            Executor blocking,
            Clock clock) {
        this.dns = dns;
        this.https = https;
        this.settings = settings;
        this.file = file;
        this.blocking = blocking;
        this.clock = clock;
        this.today = day(clock.instant());
        file.read().ifPresent(days::putAll);
    }

    private static LocalDate day(Instant now) {
        return LocalDate.ofInstant(now, ZoneOffset.UTC);
    }

    @Override
    @SuppressWarnings("FutureReturnValueIgnored") // ends in the map of those asked
    public void observe(TlsSession session) {
        String domain = session.domain();
        boolean ask;
        synchronized (this) {
            turnPage();
            Map<String, DailySheet> sheets = days.computeIfAbsent(today.toString(), key -> new HashMap<>());
            if (Boolean.FALSE.equals(asked.get(domain))
                    || (!sheets.containsKey(domain) && sheets.size() >= MOST_DOMAINS)) {
                return;
            }
            sheets.computeIfAbsent(domain, key -> new DailySheet()).count(session);
            changed = true;
            ask = asked.putIfAbsent(domain, true) == null;
        }
        if (ask) {
            destinations(domain).thenAccept(wanted -> {
                if (wanted.filter(Set::isEmpty).isPresent()) {
                    forget(domain);
                }
            });
        }
    }

    private synchronized void forget(String domain) {
        asked.put(domain, false);
        Optional.ofNullable(days.get(today.toString())).ifPresent(sheets -> sheets.remove(domain));
    }

    private synchronized void turnPage() {
        LocalDate now = day(clock.instant());
        if (!now.equals(today)) {
            today = now;
            asked.clear();
        } else if (asked.size() > 5 * MOST_DOMAINS) {
            asked.values().removeIf(wanted -> !wanted);
        }
    }

    /** Sends what is due and writes down what changed; to be called every minute; blocks while it writes. */
    public void tick() {
        Instant now = clock.instant();
        List<Due> due = new ArrayList<>();
        synchronized (this) {
            turnPage();
            days.forEach((day, sheets) -> {
                LocalDate date = LocalDate.parse(day);
                if (date.isBefore(today)) {
                    sheets.forEach((domain, sheet) -> {
                        if (isDue(date, domain, sheet, now) && sending.add(day + " " + domain)) {
                            due.add(new Due(date, domain, sheet));
                        }
                    });
                }
            });
        }
        due.forEach(this::report);
        save();
    }

    private record Due(LocalDate day, String domain, DailySheet sheet) {
        Instant end() {
            return day.plusDays(1).atStartOfDay().toInstant(ZoneOffset.UTC);
        }
    }

    private static boolean isDue(LocalDate day, String domain, DailySheet sheet, Instant now) {
        Instant first = day.plusDays(1)
                .atStartOfDay()
                .toInstant(ZoneOffset.UTC)
                .plusSeconds(Math.floorMod((long) domain.hashCode(), SPREAD.toSeconds()));
        return !now.isBefore(first) && now.getEpochSecond() >= sheet.nextTry();
    }

    @SuppressWarnings("FutureReturnValueIgnored") // ends in the sheet
    private void report(Due due) {
        destinations(due.domain())
                .thenCompose(
                        wanted -> wanted.isEmpty() ? CompletableFuture.completedFuture(false) : send(due, wanted.get()))
                .exceptionally(thrown -> {
                    LOGGER.warn("TLS report of {} for {} not sent", due.day(), due.domain(), thrown);
                    return false;
                })
                .thenAccept(done -> concluded(due, done));
    }

    private synchronized void concluded(Due due, boolean done) {
        Instant now = clock.instant();
        sending.remove(due.day() + " " + due.domain());
        boolean over = !done && now.isAfter(due.end().plus(GIVE_UP));
        if (over) {
            LOGGER.warn("TLS report of {} for {} given up", due.day(), due.domain());
        }
        if (done || over) {
            Map<String, DailySheet> sheets = days.getOrDefault(due.day().toString(), Map.of());
            sheets.remove(due.domain());
            if (sheets.isEmpty()) {
                days.remove(due.day().toString());
            }
        } else {
            due.sheet().nextTry(now.plus(PAUSE).getEpochSecond());
        }
        changed = true;
        saveSoon();
    }

    private CompletionStage<Boolean> send(Due due, Set<String> destinations) {
        DailySheet sheet;
        synchronized (this) {
            sheet = due.sheet().copy();
        }
        TlsReport report = TlsReport.of(due.domain(), due.day(), sheet, settings);
        List<String> missing =
                destinations.stream().filter(each -> !sheet.isReportedTo(each)).toList();
        CompletionStage<Boolean> all = CompletableFuture.completedFuture(true);
        for (String destination : missing) {
            CompletionStage<Boolean> one = send(report, destination).handle((sent, thrown) -> {
                if (thrown == null) {
                    LOGGER.info("TLS report of {} for {} sent to {}", due.day(), due.domain(), destination);
                    arrived(due, destination);
                } else {
                    LOGGER.warn(
                            "TLS report of {} for {} not sent to {}: {}",
                            due.day(),
                            due.domain(),
                            destination,
                            thrown.getMessage());
                }
                return thrown == null;
            });
            all = all.thenCombine(one, Boolean::logicalAnd);
        }
        return all;
    }

    private synchronized void arrived(Due due, String destination) {
        due.sheet().reportedTo(destination);
        changed = true;
        saveSoon();
    }

    private CompletionStage<Void> send(TlsReport report, String destination) {
        if (destination.startsWith("mailto:")) {
            return CompletableFuture.runAsync(() -> mail(report, destination.substring("mailto:".length())), blocking);
        }
        URI url = URI.create(destination);
        String path = (url.getRawPath().isEmpty() ? "/" : url.getRawPath())
                + (url.getRawQuery() == null ? "" : "?" + url.getRawQuery());
        return https.post(
                        url.getHost(),
                        url.getPort() < 0 ? https.port() : url.getPort(),
                        path,
                        TlsReport.MEDIA_TYPE,
                        report.compressed())
                .thenCompose(answer -> answer.status() / 100 == 2
                        ? CompletableFuture.completedFuture(null)
                        : CompletableFuture.failedFuture(
                                new java.io.IOException("the server answered " + answer.status())));
    }

    private void mail(TlsReport report, String address) {
        try {
            MailAddress to = new MailAddress(address);
            settings.mailer().send(settings.from(), to, report.message(settings, to, clock.instant()));
        } catch (MessagingException e) {
            throw new java.util.concurrent.CompletionException(e);
        }
    }

    /** Whom the domain wants its reports sent to (RFC 8460 section 3), each once; empty: that cannot be told. */
    private CompletionStage<Optional<Set<String>>> destinations(String domain) {
        Name name;
        try {
            name = Name.concatenate(Name.fromConstantString("_smtp._tls"), Name.fromString(domain, Name.root));
        } catch (TextParseException | NameTooLongException e) {
            return CompletableFuture.completedFuture(Optional.of(Set.of()));
        }
        return dns.ask(name, Type.TXT).thenApply(answer -> {
            if (answer instanceof DnsAnswer.Unknown) {
                return Optional.empty();
            }
            List<String> policies = new ArrayList<>();
            if (answer instanceof DnsAnswer.Found found) {
                found.records().forEach(each -> {
                    if (each instanceof TXTRecord text) {
                        String whole = String.join("", text.getStrings());
                        if (whole.matches("v=TLSRPTv1\\s*;.*")) {
                            policies.add(whole);
                        }
                    }
                });
            }
            return Optional.of(policies.size() == 1 ? destinationsIn(policies.get(0)) : Set.of());
        });
    }

    private static Set<String> destinationsIn(String policy) {
        Set<String> destinations = new LinkedHashSet<>();
        for (String field : policy.split(";", -1)) {
            String trimmed = field.strip();
            if (trimmed.startsWith("rua=")) {
                for (String each : trimmed.substring("rua=".length()).split(",", -1)) {
                    destination(each.strip()).ifPresent(destinations::add);
                    if (destinations.size() == MOST_DESTINATIONS) {
                        return destinations;
                    }
                }
            }
        }
        return destinations;
    }

    private static Optional<String> destination(String uri) {
        try {
            URI parsed = new URI(uri);
            if ("mailto".equalsIgnoreCase(parsed.getScheme())) {
                // what follows '?' would set headers of our mail
                String address = parsed.getSchemeSpecificPart().split("\\?", 2)[0];
                return Optional.of("mailto:" + new MailAddress(address).asString());
            }
            return "https".equalsIgnoreCase(parsed.getScheme()) && parsed.getHost() != null
                    ? Optional.of(parsed.toASCIIString())
                    : Optional.empty();
        } catch (URISyntaxException | AddressException e) {
            return Optional.empty();
        }
    }

    private void saveSoon() {
        if (!writeWaits.compareAndSet(false, true)) {
            return;
        }
        try {
            blocking.execute(this::save);
        } catch (RejectedExecutionException e) {
            writeWaits.set(false);
            LOGGER.debug("Delivery is ending: what changed is written when reports close", e);
        }
    }

    private void save() {
        synchronized (writing) {
            writeWaits.set(false);
            Map<String, Map<String, DailySheet>> copy = new HashMap<>();
            synchronized (this) {
                if (!changed) {
                    return;
                }
                changed = false;
                days.forEach((day, sheets) -> {
                    Map<String, DailySheet> copies = new HashMap<>();
                    sheets.forEach((domain, sheet) -> copies.put(domain, sheet.copy()));
                    copy.put(day, copies);
                });
            }
            // takes long, and whoever counts a session must not wait for it
            file.writeNow(file.encode(copy));
        }
    }

    /** Writes down what changed since the last time; blocks. */
    public void close() {
        save();
    }
}
