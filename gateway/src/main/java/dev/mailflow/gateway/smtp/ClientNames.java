/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Pattern;

import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.Name;
import org.xbill.DNS.PTRRecord;
import org.xbill.DNS.Record;
import org.xbill.DNS.ReverseMap;
import org.xbill.DNS.Type;

import com.google.common.base.Suppliers;
import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.delivery.nexthop.DnsAnswer;
import dev.mailflow.delivery.nexthop.DnsLookup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.util.concurrent.DefaultThreadFactory;

/**
 * The names of clients, for the Received field and {@code Mail.getRemoteHost()}: the name that reverse DNS gives an
 * address, if DNS gives that name the same address; otherwise the address itself.
 *
 * <p>James asks for it before it greets, on the thread of the dialogue, and asks the operating system, which waits 5 s and
 * longer for a name server that is silent: everybody whose address has a slow name server would hold a thread for as long,
 * and 64 of them the whole door. Here the question is asked while the dialogue goes on. Only a client whose sender was
 * accepted is waited for, {@value #PATIENCE_MILLIS} ms after it came at most, and by {@value #MOST_WAITING} dialogues at a
 * time at most. Answers are remembered as {@link DnsLookup} does; a name is for people and filters, no decision of the
 * gateway depends on it.
 */
@Singleton
public final class ClientNames implements AutoCloseable {
    private static final int PATIENCE_MILLIS = 1000;
    private static final int MOST_WAITING = 16;
    private static final int MOST_ASKED = 256;
    private static final Duration SERVER_PATIENCE = Duration.ofSeconds(2);
    /** What goes into a header field unquoted; a label may hold any octet (RFC 2181 section 11). */
    private static final Pattern HOST_NAME = Pattern.compile("[A-Za-z0-9_-]{1,63}(?:\\.[A-Za-z0-9_-]{1,63})*");

    private final NioEventLoopGroup eventLoops =
            new NioEventLoopGroup(1, new DefaultThreadFactory("client-names", true));
    private final Supplier<DnsLookup> dns;
    private final Semaphore asked = new Semaphore(MOST_ASKED);
    private final Semaphore waiting = new Semaphore(MOST_WAITING);

    @Inject
    ClientNames(Clock clock) {
        // James says which servers to ask while it starts
        this.dns = Suppliers.memoize(() -> DnsLookup.ofUsualServers(eventLoops, SERVER_PATIENCE, Runnable::run, clock));
    }

    /** @param dns is asked in the place of the servers that James asks */
    public ClientNames(DnsLookup dns) {
        this.dns = () -> dns;
    }

    /** Has James not look up the name of every client of every protocol for its log. Call before James is loaded. */
    public static void leaveToClientNames() {
        String james = "james.protocols.mdc.hostname";
        if (System.getProperty(james) == null) {
            System.setProperty(james, "false");
        }
    }

    /** Asks for the name of a client, and does not wait. */
    Client of(InetAddress address) {
        return new Client(address);
    }

    /** One client on one connection. */
    final class Client {
        private final InetAddress address;
        private final long since = System.nanoTime();
        private final CountDownLatch answered = new CountDownLatch(1);
        private volatile InetAddress known;

        private Client(InetAddress address) {
            this.address = address;
            this.known = named(address, address.getHostAddress());
            if (address.isLoopbackAddress()) {
                // nobody else can know (RFC 6303); other addresses than the usual one have no name
                if (address.equals(InetAddress.getLoopbackAddress()) || address instanceof Inet6Address) {
                    known = named(address, "localhost");
                }
                answered.countDown();
            } else if (asked.tryAcquire()) {
                ask().whenComplete((name, failure) -> {
                    asked.release();
                    if (failure == null) {
                        name.ifPresent(found -> known = named(address, found));
                    }
                    answered.countDown();
                });
            } else {
                answered.countDown();
            }
        }

        /** The address, whose {@code getHostName()} answers at once, with the address if the name is not known (yet). */
        InetAddress known() {
            return known;
        }

        /** As {@link #known()}, after a name that is still asked for was given time. */
        InetAddress awaited() {
            if (answered.getCount() > 0 && waiting.tryAcquire()) {
                try {
                    long left = TimeUnit.MILLISECONDS.toNanos(PATIENCE_MILLIS) - (System.nanoTime() - since);
                    boolean unused = answered.await(left, TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                } finally {
                    waiting.release();
                }
            }
            return known;
        }

        private CompletionStage<Optional<String>> ask() {
            return CompletableFuture.completedFuture(ReverseMap.fromAddress(address))
                    .thenCompose(name -> dns.get().ask(name, Type.PTR))
                    .thenCompose(answer -> candidate(answer)
                            .map(this::confirm)
                            .orElse(CompletableFuture.completedFuture(Optional.empty())));
        }

        private Optional<Name> candidate(DnsAnswer answer) {
            return answer instanceof DnsAnswer.Found found
                    ? found.records().stream()
                            .map(PTRRecord.class::cast)
                            .map(PTRRecord::getTarget)
                            .filter(name ->
                                    HOST_NAME.matcher(name.toString(true)).matches())
                            .findFirst()
                    : Optional.empty();
        }

        private CompletionStage<Optional<String>> confirm(Name name) {
            return dns.get()
                    .ask(name, address instanceof Inet4Address ? Type.A : Type.AAAA)
                    .thenApply(answer -> answer instanceof DnsAnswer.Found found
                                    && found.records().stream().anyMatch(this::isOurs)
                            ? Optional.of(name.toString(true))
                            : Optional.empty());
        }

        private boolean isOurs(Record record) {
            InetAddress found = record instanceof ARecord a ? a.getAddress() : ((AAAARecord) record).getAddress();
            return found.equals(address);
        }
    }

    private static InetAddress named(InetAddress address, String name) {
        try {
            return address instanceof Inet6Address six
                    ? Inet6Address.getByAddress(name, six.getAddress(), six.getScopeId())
                    : InetAddress.getByAddress(name, address.getAddress());
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("the octets of an address are one", e);
        }
    }

    /** Ends the questions; names are not known from then on. */
    @Override
    public void close() {
        var unused = eventLoops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    }
}
