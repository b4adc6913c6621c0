/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;

import org.apache.james.filesystem.api.FileSystem;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.InvalidPolicyException;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;

/**
 * The policy of {@code mailflow.xml}, watched together with every file it names (lists, certificates, key stores,
 * secrets).
 *
 * <p>Every {@value #POLL_MILLIS} ms one daemon thread compares the {@link FileStamp} of each file with the one of the
 * last reading. Files are read again only when two comparisons in a row saw the same new state, so that a half-written
 * file is not taken for a policy, nor half of a long list for the list; a file that does not rest for
 * {@value #RESTLESS_POLLS_TO_WARN} comparisons is told once and waited for. A change is in force within 2 s of the file's
 * rest. A reading with errors leaves the snapshot in force alone and is reported when the next comparison still sees the
 * same files.
 *
 * <p>No {@code mailflow.xml} at the start is the policy that says nothing: a server that configures everything in
 * {@code mailetcontainer.xml} needs none. One that vanishes later is an error, and the last policy stays in force.
 *
 * <p>An administrator sees: at the start a refusal with every mistake; later one ERROR line for each mistake and the
 * version that stays in force, once per change; and one INFO line when a version comes into force.
 */
@Singleton
public final class FilePolicyRepository implements PolicyRepository, AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(FilePolicyRepository.class);
    private static final String FILE_NAME = "mailflow.xml";
    private static final int POLL_MILLIS = 500;
    private static final int RESTLESS_POLLS_TO_WARN = 20;

    private final Path mailflowXml;
    private final Path conf;
    private final Map<String, String> environment;
    private final Clock clock;
    private final List<Registration> registrations = new CopyOnWriteArrayList<>();
    private final Optional<ScheduledExecutorService> watcher;

    private volatile MailFlowPolicy current;
    private volatile List<PolicyProblem> pending = List.of();

    // Only the thread that polls touches these.
    private Map<Path, FileStamp> read;
    private Optional<Map<Path, FileStamp>> restless = Optional.empty();
    private int restlessPolls;
    private Optional<PolicyReading> broken = Optional.empty();

    /**
     * The policy of {@code file://conf/mailflow.xml}.
     *
     * @throws IllegalStateException caused by an {@link InvalidPolicyException} and with its message, which lists every
     *     mistake
     */
    @Inject
    public FilePolicyRepository(FileSystem fileSystem) {
        this.conf = confOf(fileSystem);
        this.mailflowXml = conf.resolve(FILE_NAME);
        this.environment = System.getenv();
        this.clock = Clock.systemUTC();
        try {
            this.current = firstPolicy();
        } catch (InvalidPolicyException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
        this.watcher = Optional.of(startWatching());
    }

    /**
     * The policy of a file.
     *
     * @param conf the directory that {@code file://conf/} names
     * @throws InvalidPolicyException when the file is there but has mistakes
     */
    public FilePolicyRepository(Path mailflowXml, Path conf, Clock clock) throws InvalidPolicyException {
        this(mailflowXml, conf, System.getenv(), clock, true);
    }

    /** @param watched false: nobody but the caller calls {@link #poll()} */
    FilePolicyRepository(Path mailflowXml, Path conf, Map<String, String> environment, Clock clock, boolean watched)
            throws InvalidPolicyException {
        this.mailflowXml = mailflowXml;
        this.conf = conf;
        this.environment = environment;
        this.clock = clock;
        this.current = firstPolicy();
        this.watcher = watched ? Optional.of(startWatching()) : Optional.empty();
    }

    private static Path confOf(FileSystem fileSystem) {
        try {
            return fileSystem
                    .getFile(FileSystem.FILE_PROTOCOL_AND_CONF + FILE_NAME)
                    .toPath()
                    .toAbsolutePath()
                    .getParent();
        } catch (FileNotFoundException e) {
            throw new IllegalStateException("the server does not tell its configuration directory", e);
        }
    }

    private MailFlowPolicy firstPolicy() throws InvalidPolicyException {
        if (Files.notExists(mailflowXml)) {
            Path absent = mailflowXml.toAbsolutePath().normalize();
            read = stampsOf(Set.of(absent));
            LOGGER.info("there is no {}: the mail-flow policy is empty until there is one", mailflowXml);
            return MailFlowPolicy.empty(mailflowXml.toString(), clock.instant());
        }
        PolicyReading reading = readFiles();
        MailFlowPolicy policy = reading.policyOrThrow();
        LOGGER.info("mail-flow policy {} version {} is in force", mailflowXml, policy.version());
        warn(reading);
        return policy;
    }

    private ScheduledExecutorService startWatching() {
        ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "mailflow-policy-watcher");
            thread.setDaemon(true);
            return thread;
        });
        ScheduledFuture<?> unused =
                executor.scheduleWithFixedDelay(this::pollSafely, POLL_MILLIS, POLL_MILLIS, TimeUnit.MILLISECONDS);
        return executor;
    }

    @Override
    public MailFlowPolicy current() {
        return current;
    }

    @Override
    public List<PolicyProblem> pendingProblems() {
        return pending;
    }

    @Override
    public Subscription subscribe(Consumer<MailFlowPolicy> listener) {
        Registration registration = new Registration(listener);
        registrations.add(registration);
        return () -> registrations.remove(registration);
    }

    /** Stops watching; the snapshot in force stays. */
    @Override
    public void close() {
        watcher.ifPresent(ScheduledExecutorService::shutdown);
    }

    /** Has identity, unlike the listener it wraps, which may be subscribed twice. */
    private static final class Registration {
        private final Consumer<MailFlowPolicy> listener;

        Registration(Consumer<MailFlowPolicy> listener) {
            this.listener = listener;
        }

        void tell(MailFlowPolicy policy) {
            try {
                listener.accept(policy);
            } catch (RuntimeException e) {
                LOGGER.error("a listener failed on mail-flow policy version {}", policy.version(), e);
            }
        }
    }

    private void pollSafely() {
        try {
            poll();
        } catch (RuntimeException e) {
            // An exception would end the schedule, and with it every later reload.
            LOGGER.error("looking for a new mail-flow policy in {} failed; trying again", mailflowXml, e);
        }
    }

    /** Looks once whether any file changed. */
    void poll() {
        Map<Path, FileStamp> now = stampsOf(read.keySet());
        if (now.equals(read)) {
            settle();
            broken.ifPresent(this::report);
            broken = Optional.empty();
        } else if (restless.filter(now::equals).isPresent()) {
            settle();
            reload();
        } else {
            restlessPolls++;
            if (restlessPolls == RESTLESS_POLLS_TO_WARN) {
                restless.ifPresent(before -> warnOfUnrest(before, now));
            }
            restless = Optional.of(now);
            broken = Optional.empty();
        }
    }

    private void warnOfUnrest(Map<Path, FileStamp> before, Map<Path, FileStamp> now) {
        LOGGER.warn(
                "{} has been changing for {} s: mail-flow policy version {} stays in force until it rests; write to another"
                        + " file and rename it",
                now.keySet().stream()
                        .filter(file -> !now.get(file).equals(before.get(file)))
                        .map(Path::toString)
                        .collect(Collectors.joining(", ")),
                TimeUnit.MILLISECONDS.toSeconds((long) restlessPolls * POLL_MILLIS),
                current.version());
    }

    private void settle() {
        restless = Optional.empty();
        restlessPolls = 0;
    }

    private void reload() {
        PolicyReading reading = readFiles();
        reading.policy().ifPresentOrElse(policy -> accept(policy, reading), () -> broken = Optional.of(reading));
    }

    private void accept(MailFlowPolicy policy, PolicyReading reading) {
        boolean mended = !pending.isEmpty();
        String before = current.version();
        pending = List.of();
        if (policy.version().equals(before)) {
            if (mended) {
                LOGGER.info("{} is in order again: mail-flow policy version {} stays in force", mailflowXml, before);
            }
            return;
        }
        current = policy;
        LOGGER.info(
                "mail-flow policy {} version {} is in force, version {} was before",
                mailflowXml,
                policy.version(),
                before);
        warn(reading);
        registrations.forEach(registration -> registration.tell(policy));
    }

    private void report(PolicyReading reading) {
        pending = reading.problems();
        LOGGER.error(
                "{} has {}: mail-flow policy version {} stays in force",
                mailflowXml,
                pending.size() == 1 ? "a problem" : pending.size() + " problems",
                current.version());
        pending.forEach(problem -> LOGGER.error("{}", problem));
    }

    private static void warn(PolicyReading reading) {
        reading.problems().forEach(problem -> LOGGER.warn("{}", problem));
    }

    private PolicyReading readFiles() {
        PolicyReading reading = MailFlowXmlReader.read(mailflowXml, conf, environment, clock);
        read = reading.stamps();
        return reading;
    }

    private static Map<Path, FileStamp> stampsOf(Set<Path> files) {
        Map<Path, FileStamp> stamps = new LinkedHashMap<>();
        files.forEach(file -> stamps.put(file, FileStamp.of(file)));
        return stamps;
    }
}
