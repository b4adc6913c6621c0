/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.nexthop;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The addresses of a host that are still to be tried, and their order (RFC 8305 section 4): those without a mark against
 * them first; among equals the families take turns, so that a family that leads nowhere costs one attempt and not one for
 * each of its addresses. Not thread-safe.
 */
public final class HostAddresses {
    /** There are none. */
    public static final HostAddresses NONE = new HostAddresses(List.of(), List.of(), Optional.empty());

    private final List<InetAddress> preferred;
    private final List<InetAddress> others;
    private Optional<InetAddress> last;

    private HostAddresses(List<InetAddress> preferred, List<InetAddress> others, Optional<InetAddress> last) {
        this.preferred = new ArrayList<>(preferred);
        this.others = new ArrayList<>(others);
        this.last = last;
    }

    /** @param behind which of them are to be tried after all others */
    public static HostAddresses of(List<InetAddress> addresses, Predicate<InetAddress> behind) {
        return NONE.with(addresses, behind);
    }

    /** What is left of these, and some more. */
    public HostAddresses with(List<InetAddress> more, Predicate<InetAddress> behind) {
        HostAddresses all = new HostAddresses(preferred, others, last);
        more.forEach(address -> (behind.test(address) ? all.others : all.preferred).add(address));
        return all;
    }

    /** Whether any are left that have no mark against them. */
    public boolean hasPreferred() {
        return !preferred.isEmpty();
    }

    /** The next one to be tried; it is then no longer left. */
    public Optional<InetAddress> next() {
        List<InetAddress> from = preferred.isEmpty() ? others : preferred;
        Optional<InetAddress> next = from.stream()
                .filter(address -> last.isEmpty() || isIpv6(address) != isIpv6(last.get()))
                .findFirst()
                .or(() -> from.stream().findFirst());
        next.ifPresent(from::remove);
        last = next.or(() -> last);
        return next;
    }

    private static boolean isIpv6(InetAddress address) {
        return address instanceof Inet6Address;
    }
}
