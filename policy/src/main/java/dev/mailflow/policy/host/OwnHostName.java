/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.host;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How this host introduces itself to others when nobody has told it its name: the qualified name that the hosts file or DNS
 * gives it, else the name it calls itself.
 *
 * <p>A host whose own name stands in no hosts file has it looked up in DNS, and where no DNS server answers, the system says
 * so after ten seconds and more, each time it is asked. Here it is asked once in the life of a process, waited for
 * {@value #PATIENCE_SECONDS} s at most, and does not need to know: the kernel's host name is known without it. An
 * administrator sees {@code event=own-name-not-found} in the log then.
 */
public final class OwnHostName {
    private static final Logger LOGGER = LoggerFactory.getLogger(OwnHostName.class);
    /** One of two DNS servers may be silent, which costs 5 s for the address and 5 s for the name of it. */
    private static final int PATIENCE_SECONDS = 12;

    private static final Path KERNEL = Path.of("/proc/sys/kernel/hostname");
    private static final String LAST_RESORT = "localhost";
    private static final int LONGEST = 253;
    /** Domain of RFC 5321 section 4.1.2; underscores are not, and some hosts have them all the same. */
    private static final Pattern NAME = Pattern.compile(
            "[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*");

    private OwnHostName() {}

    /** Asked for by the first who needs it. */
    private static final class Here {
        static final InetAddress ADDRESS =
                find(OwnHostName::lookUp, OwnHostName::selfCalled, Duration.ofSeconds(PATIENCE_SECONDS));
    }

    /** The host's qualified name if it has one, else the name it calls itself; never a mere alias of loopback. */
    public static String get() {
        return address().getHostName();
    }

    /**
     * An address of this host, whose {@code getHostName()} is {@link #get()}: the one that the system gives the name, else
     * that of loopback.
     */
    public static InetAddress address() {
        return Here.ADDRESS;
    }

    /**
     * @param system the host's address, by its name; may take long
     * @param selfCalled what it may be called without
     * @param patience how long the system is waited for
     */
    static InetAddress find(Callable<InetAddress> system, Supplier<List<String>> selfCalled, Duration patience) {
        FutureTask<InetAddress> asked = new FutureTask<>(system);
        Thread thread = new Thread(asked, "own-host-name");
        thread.setDaemon(true);
        thread.start();
        String reason;
        try {
            return asked.get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            reason = e.getCause().getMessage();
        } catch (TimeoutException e) {
            reason = "no answer in " + patience.toSeconds() + " s";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            reason = "interrupted";
        }
        String name = selfCalled.get().stream()
                .map(String::strip)
                .filter(OwnHostName::isName)
                .findFirst()
                .orElse(LAST_RESORT);
        LOGGER.warn(
                "event=own-name-not-found name={} reason=\"{}\": this host calls itself so until the next start, for neither"
                        + " a hosts file nor DNS knows its name; put it into /etc/hosts",
                name,
                reason);
        return named(InetAddress.getLoopbackAddress(), name);
    }

    private static InetAddress lookUp() throws UnknownHostException {
        InetAddress host = InetAddress.getLocalHost();
        return named(host, name(host.getHostName(), host.getCanonicalHostName()));
    }

    /** @param canonical the name that the address has, or the address */
    static String name(String host, String canonical) {
        String lower = canonical.toLowerCase(Locale.ROOT);
        boolean qualified = isName(canonical)
                && canonical.indexOf('.') > 0
                && !Character.isDigit(canonical.charAt(canonical.length() - 1));
        return qualified && !lower.startsWith("localhost.") ? canonical : host;
    }

    private static boolean isName(String text) {
        return text.length() <= LONGEST && NAME.matcher(text).matches();
    }

    private static List<String> selfCalled() {
        return Stream.concat(kernel().stream(), Optional.ofNullable(System.getenv("HOSTNAME")).stream())
                .toList();
    }

    private static Optional<String> kernel() {
        try {
            return Optional.of(Files.readString(KERNEL, StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            // another system than Linux
            return Optional.empty();
        }
    }

    private static InetAddress named(InetAddress address, String name) {
        try {
            return InetAddress.getByAddress(name, address.getAddress());
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("the octets of an address are one", e);
        }
    }
}
