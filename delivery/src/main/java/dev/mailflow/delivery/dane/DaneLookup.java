/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.dane;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

import org.xbill.DNS.Name;
import org.xbill.DNS.TLSARecord;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

import dev.mailflow.delivery.nexthop.DnsAnswer;
import dev.mailflow.delivery.nexthop.DnsLookup;
import dev.mailflow.delivery.nexthop.Target;
import dev.mailflow.delivery.tls.PublishedTrust;

/**
 * Finds the TLSA records of a next hop (RFC 7672 section 2.2): none are asked for where the way to the host is not
 * signed, so that name servers that choke on TLSA queries hurt only those who sign; where the host name is an alias, its
 * end comes first, then the alias itself if at least that is signed.
 */
public final class DaneLookup {
    private final DnsLookup dns;

    public DaneLookup(DnsLookup dns) {
        this.dns = dns;
    }

    /** Whether anything can be found at all: DNS answers come from a resolver whose word on DNSSEC counts. */
    public boolean isActive() {
        return dns.knowsSecurity();
    }

    /** What DANE says of the target. */
    public CompletionStage<DaneAnswer> ask(Target target) {
        if (!dns.knowsSecurity()) {
            return silent("no DNS resolver is trusted to tell what DNSSEC vouches for");
        }
        if (!target.secure()) {
            return silent("the MX records of '" + String.join(", ", target.mailDomains()) + "' are not signed");
        }
        Name host;
        try {
            host = Name.fromString(target.host(), Name.root);
        } catch (TextParseException e) {
            return silent("'" + target.host() + "' is not a host name");
        }
        if (target.host().indexOf(':') >= 0 || target.host().matches("[0-9.]+") || host.labels() < 3) {
            return silent("'" + target.host() + "' is not a qualified host name");
        }
        // both types are of one owner: either answer tells what is signed; who has no known address gets no mail anyway
        return dns.ask(host, Type.A)
                .thenCompose(a -> a instanceof DnsAnswer.Found
                                || (a instanceof DnsAnswer.Nothing nothing && !nothing.exists())
                        ? CompletableFuture.completedFuture(a)
                        : dns.ask(host, Type.AAAA)
                                .thenApply(aaaa -> a instanceof DnsAnswer.Unknown && !(aaaa instanceof DnsAnswer.Found)
                                        ? a
                                        : aaaa))
                .thenCompose(addresses -> byAddresses(target, host, addresses));
    }

    private CompletionStage<DaneAnswer> byAddresses(Target target, Name host, DnsAnswer addresses) {
        if (addresses instanceof DnsAnswer.Unknown unknown) {
            return unknown("host '" + target.host() + "' cannot be looked up: " + unknown.reason());
        }
        Name end = addresses.end().orElse(host);
        if (addresses.secure()) {
            return firstOf(target, end.equals(host) ? List.of(host) : List.of(end, host));
        }
        if (end.equals(host)) {
            return silent("the addresses of '" + target.host() + "' are not signed");
        }
        // the alias leads out of what is signed; it may itself be signed (RFC 7672 section 2.2.2)
        return dns.ask(host, Type.CNAME).thenCompose(alias -> {
            if (alias instanceof DnsAnswer.Unknown unknown) {
                return unknown("host '" + target.host() + "' cannot be looked up: " + unknown.reason());
            }
            return alias.secure()
                    ? firstOf(target, List.of(host))
                    : silent("'" + target.host() + "' is an alias that is not signed");
        });
    }

    private CompletionStage<DaneAnswer> firstOf(Target target, List<Name> bases) {
        Name base = bases.get(0);
        Name owner;
        try {
            owner = Name.concatenate(Name.fromString("_" + target.port() + "._tcp"), base);
        } catch (TextParseException | org.xbill.DNS.NameTooLongException e) {
            return silent("'" + base + "' is too long for TLSA records");
        }
        return dns.ask(owner, Type.TLSA).thenCompose(answer -> {
            if (answer instanceof DnsAnswer.Unknown unknown) {
                return unknown("TLSA records of '" + shown(owner) + "' cannot be looked up: " + unknown.reason());
            }
            if (answer instanceof DnsAnswer.Found found && found.secure()) {
                return CompletableFuture.completedFuture(published(target, base, owner, found));
            }
            return bases.size() > 1
                    ? firstOf(target, bases.subList(1, bases.size()))
                    : silent("'" + shown(owner) + "' has no signed TLSA records");
        });
    }

    private static DaneAnswer published(Target target, Name base, Name owner, DnsAnswer.Found found) {
        List<TlsaRecord> records = new ArrayList<>();
        found.records().forEach(each -> {
            if (each instanceof TLSARecord tlsa) {
                records.add(TlsaRecord.of(tlsa));
            }
        });
        Set<TlsaRecord> decisive = TlsaRecords.decisive(records);
        Set<String> names = new LinkedHashSet<>();
        // only an authority's word is about names (RFC 7672 section 3.1.1): otherwise all domains share connections
        if (decisive.stream().anyMatch(each -> each.usage() == TlsaRecord.DANE_TA)) {
            // RFC 7672 section 3.2.2: the TLSA base domain, then the mail domain and what it is an alias of
            names.add(shown(base));
            names.addAll(target.mailDomains());
        }
        return new DaneAnswer.Published(
                new PublishedTrust.Dane(decisive, shown(base), shown(owner), List.copyOf(names)),
                records.stream().map(TlsaRecord::rdata).sorted().toList());
    }

    private static String shown(Name name) {
        return name.toString(true).toLowerCase(Locale.ROOT);
    }

    private static CompletionStage<DaneAnswer> silent(String reason) {
        return CompletableFuture.completedFuture(new DaneAnswer.Silent(reason));
    }

    private static CompletionStage<DaneAnswer> unknown(String reason) {
        return CompletableFuture.completedFuture(new DaneAnswer.Unknown(reason));
    }
}
