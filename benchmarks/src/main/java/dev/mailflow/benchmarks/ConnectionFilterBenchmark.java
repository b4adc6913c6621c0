/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

import org.apache.james.dnsservice.api.DNSService;
import org.apache.james.dnsservice.library.netmatcher.NetMatcher;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import dev.mailflow.policy.connection.IpAddress;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeSet;

/**
 * One look-up in a million prefixes, two thirds IPv4 and one third IPv6, of all usual lengths: in the compiled index, by a
 * linear scan over the same ranges, and by the {@code NetMatcher} of James. Half of the addresses asked for are in one of
 * the prefixes. Targets for the index: a median of 150 ns, 64 MB, built within 2 s.
 */
@State(Scope.Benchmark)
@Fork(
        value = 1,
        jvmArgs = {"-Xmx2g", "-XX:+UseSerialGC"})
public class ConnectionFilterBenchmark {
    private static final int PREFIXES = 1_000_000;
    private static final int ASKED = 1 << 16;
    /** Look-ups of one invocation; divides {@link #ASKED}. */
    private static final int BATCH = 64;

    private static final long SEED = 20_261_124;

    private List<IpRange> ranges;
    private IpRangeSet index;
    private IpAddress[] addresses;
    private InetAddress[] inetAddresses;
    private int next;

    /** Draws prefixes and addresses; always the same ones. */
    @Setup(Level.Trial)
    public void setUp() {
        Random random = new Random(SEED);
        ranges = new ArrayList<>(PREFIXES);
        for (int i = 0; i < PREFIXES; i++) {
            ranges.add(i % 3 == 0 ? ipv6(random) : ipv4(random));
        }
        long before = used();
        index = IpRangeSet.of(ranges);
        System.out.printf("%nthe index of 1M prefixes takes %d MB%n", (used() - before) >> 20);
        addresses = new IpAddress[ASKED];
        inetAddresses = new InetAddress[ASKED];
        for (int i = 0; i < ASKED; i++) {
            IpRange range = random.nextBoolean()
                    ? ranges.get(random.nextInt(PREFIXES))
                    : (i % 3 == 0 ? ipv6(random) : ipv4(random));
            addresses[i] = range.last();
            inetAddresses[i] = addresses[i].toInetAddress();
        }
    }

    private static IpRange ipv4(Random random) {
        int bits = random.nextInt();
        int length = 16 + random.nextInt(17);
        return IpRange.parse(IpAddress.ofIpv4(bits) + "/" + length);
    }

    /** Of the global unicast addresses in use, 2000::/6. */
    private static IpRange ipv6(Random random) {
        long high = 0x2000_0000_0000_0000L | random.nextLong() >>> 6;
        int length = 29 + random.nextInt(100);
        return IpRange.parse(new IpAddress(high, random.nextLong()) + "/" + length);
    }

    private static long used() {
        Runtime runtime = Runtime.getRuntime();
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return runtime.totalMemory() - runtime.freeMemory();
    }

    /** Building the index from ranges that were read. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    @OutputTimeUnit(TimeUnit.MILLISECONDS)
    @Warmup(iterations = 1)
    @Measurement(iterations = 5)
    public IpRangeSet build() {
        return IpRangeSet.of(ranges);
    }

    /**
     * Addresses that have nothing to do with each other, a batch at a time, for reading the clock costs as much as a look-up.
     * As between independent connections, the processor may fetch for the next one while it waits for this one.
     */
    @Benchmark
    @BenchmarkMode({Mode.SampleTime, Mode.AverageTime})
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    @OperationsPerInvocation(BATCH)
    @Warmup(iterations = 3, time = 1)
    @Measurement(iterations = 5, time = 1)
    public int lookUp() {
        int sum = 0;
        int from = next;
        for (int i = from; i < from + BATCH; i++) {
            sum += index.find(addresses[i]);
        }
        next = (from + BATCH) & (ASKED - 1);
        return sum;
    }

    /** One look-up after the other: which address is next depends on what the last one found. The latency of one. */
    @Benchmark
    @BenchmarkMode({Mode.SampleTime, Mode.AverageTime})
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    @OperationsPerInvocation(BATCH)
    @Warmup(iterations = 3, time = 1)
    @Measurement(iterations = 5, time = 1)
    public int lookUpInTurn() {
        int from = next;
        int found = 0;
        for (int i = from; i < from + BATCH; i++) {
            found = index.find(addresses[i ^ (found & 1)]);
        }
        next = (from + BATCH) & (ASKED - 1);
        return found;
    }

    /** What a filter without an index does. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    @Warmup(iterations = 2, time = 1)
    @Measurement(iterations = 3, time = 1)
    public int linearScan() {
        next = (next + 1) & (ASKED - 1);
        IpAddress address = addresses[next];
        for (int i = 0; i < PREFIXES; i++) {
            if (ranges.get(i).contains(address)) {
                return i;
            }
        }
        return IpRangeSet.NONE;
    }

    /** What James has. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    @Warmup(iterations = 2, time = 1)
    @Measurement(iterations = 3, time = 1)
    public boolean netMatcher(JamesNetworks networks) {
        next = (next + 1) & (ASKED - 1);
        return networks.matcher.matchInetNetwork(inetAddresses[next]);
    }

    /** The same prefixes, in James's class; apart, because it takes its time to build. */
    @State(Scope.Benchmark)
    public static class JamesNetworks {
        private NetMatcher matcher;

        /** Builds it from the prefixes of the benchmark. */
        @Setup(Level.Trial)
        public void setUp(ConnectionFilterBenchmark benchmark) {
            List<String> networks =
                    benchmark.ranges.stream().map(IpRange::toString).toList();
            long start = System.nanoTime();
            matcher = new NetMatcher(networks, new Literals());
            System.out.printf(
                    "%nJames's NetMatcher was built in %d ms%n",
                    TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
        }
    }

    /** Only what needs no DNS. */
    private static final class Literals implements DNSService {
        @Override
        public InetAddress getByName(String host) {
            return IpAddress.parse(host).toInetAddress();
        }

        @Override
        public Collection<InetAddress> getAllByName(String host) {
            return List.of(getByName(host));
        }

        @Override
        public InetAddress getLocalHost() throws UnknownHostException {
            return InetAddress.getLocalHost();
        }

        @Override
        public String getHostName(InetAddress address) {
            return address.getHostAddress();
        }

        @Override
        public Collection<String> findMXRecords(String hostname) {
            return List.of();
        }

        @Override
        public Collection<String> findTXTRecords(String hostname) {
            return List.of();
        }
    }
}
