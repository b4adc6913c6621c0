/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.CNAMERecord;
import org.xbill.DNS.DClass;
import org.xbill.DNS.ExtendedResolver;
import org.xbill.DNS.Flags;
import org.xbill.DNS.MXRecord;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.PTRRecord;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Resolver;
import org.xbill.DNS.ReverseMap;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.SimpleResolver;
import org.xbill.DNS.TLSARecord;
import org.xbill.DNS.TXTRecord;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

/**
 * An authoritative name server for every name, over UDP on loopback: what it has no record for does not exist. Records
 * may be added while it runs.
 */
public final class LocalDns implements AutoCloseable {
    private static final long TTL = 60;
    private static final Name ZONE = Name.root;

    private final DatagramSocket socket;
    private final List<Record> records = new CopyOnWriteArrayList<>();
    private final Set<Name> vouchedFor = ConcurrentHashMap.newKeySet();
    private final Set<Name> failing = ConcurrentHashMap.newKeySet();
    private final Set<Name> silent = ConcurrentHashMap.newKeySet();
    private final Set<String> failingTypes = ConcurrentHashMap.newKeySet();
    private final Set<String> silentTypes = ConcurrentHashMap.newKeySet();
    private final List<String> queries = new CopyOnWriteArrayList<>();

    private LocalDns() {
        try {
            socket = new DatagramSocket(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread thread = new Thread(this::serve, "local-dns-" + socket.getLocalPort());
        thread.setDaemon(true);
        thread.start();
    }

    public static LocalDns start() {
        return new LocalDns();
    }

    public int port() {
        return address().getPort();
    }

    public InetSocketAddress address() {
        return new InetSocketAddress(socket.getLocalAddress(), socket.getLocalPort());
    }

    /** A resolver that asks this server only. */
    public Resolver resolver() {
        SimpleResolver resolver = new SimpleResolver(address());
        resolver.setTimeout(Duration.ofSeconds(1));
        // asks again when a datagram is lost, as the default resolver does
        return new ExtendedResolver(List.of(resolver));
    }

    public LocalDns mx(String domain, int preference, String host) {
        records.add(new MXRecord(name(domain), DClass.IN, TTL, preference, name(host)));
        return this;
    }

    /** Takes the place of all MX records of the domain. */
    public LocalDns replaceMx(String domain, int preference, String host) {
        Name owner = name(domain);
        records.removeIf(each -> each.getType() == Type.MX && each.getName().equals(owner));
        return mx(domain, preference, host);
    }

    /** RFC 7505. */
    public LocalDns nullMx(String domain) {
        records.add(new MXRecord(name(domain), DClass.IN, TTL, 0, Name.root));
        return this;
    }

    public LocalDns a(String host, String address) {
        records.add(new ARecord(name(host), DClass.IN, TTL, address(address)));
        return this;
    }

    public LocalDns aaaa(String host, String address) {
        records.add(new AAAARecord(name(host), DClass.IN, TTL, address(address)));
        return this;
    }

    /** What an address is called; not the other way round. */
    public LocalDns ptr(String address, String host) {
        records.add(new PTRRecord(ReverseMap.fromAddress(address(address)), DClass.IN, TTL, name(host)));
        return this;
    }

    public LocalDns cname(String alias, String host) {
        records.add(new CNAMERecord(name(alias), DClass.IN, TTL, name(host)));
        return this;
    }

    public LocalDns txt(String name, String text) {
        records.add(new TXTRecord(name(name), DClass.IN, TTL, text));
        return this;
    }

    /** {@code 3 1 1} for the given SHA-256 of a key. */
    public LocalDns tlsa(String host, int port, String key) {
        records.add(new TLSARecord(
                name("_" + port + "._tcp." + host),
                DClass.IN,
                TTL,
                3,
                1,
                1,
                HexFormat.of().parseHex(key)));
        return this;
    }

    /** Says of answers for the domain and what is below it that DNSSEC vouches for them. */
    public LocalDns vouchFor(String domain) {
        vouchedFor.add(name(domain));
        return this;
    }

    /** As if nothing had ever been said of the name. */
    public LocalDns forget(String name) {
        records.removeIf(each -> each.getName().equals(name(name)));
        failing.remove(name(name));
        return this;
    }

    /** Answers SERVFAIL. */
    public LocalDns servfail(String name) {
        failing.add(name(name));
        return this;
    }

    /** Answers SERVFAIL to questions for one type of record of the name. */
    public LocalDns servfail(String name, String type) {
        failingTypes.add(name(name) + "/" + type);
        return this;
    }

    /** Never answers. */
    public LocalDns silent(String name) {
        silent.add(name(name));
        return this;
    }

    /** Never answers questions for one type of record of the name. */
    public LocalDns silent(String name, String type) {
        silentTypes.add(name(name) + "/" + type);
        return this;
    }

    /** What was asked, as {@code name/TYPE}. */
    public List<String> queries() {
        return List.copyOf(queries);
    }

    @Override
    public void close() {
        socket.close();
    }

    private void serve() {
        byte[] buffer = new byte[4096];
        while (!socket.isClosed()) {
            try {
                DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                socket.receive(packet);
                byte[] bytes = new byte[packet.getLength()];
                System.arraycopy(buffer, 0, bytes, 0, bytes.length);
                Message query = new Message(bytes);
                Record question = query.getQuestion();
                queries.add(question.getName().toString(true) + "/" + Type.string(question.getType()));
                boolean answered = !silent.contains(question.getName())
                        && !silentTypes.contains(question.getName() + "/" + Type.string(question.getType()));
                if (answered) {
                    byte[] answer = answer(query, question).toWire();
                    socket.send(new DatagramPacket(answer, answer.length, packet.getSocketAddress()));
                }
            } catch (IOException e) {
                // closed, or a datagram that is no query
            }
        }
    }

    private Message answer(Message query, Record question) {
        Message answer = new Message(query.getHeader().getID());
        answer.getHeader().setFlag(Flags.QR);
        answer.getHeader().setFlag(Flags.AA);
        answer.getHeader().setFlag(Flags.RA);
        answer.addRecord(question, Section.QUESTION);
        Name name = question.getName();
        if (vouchedFor.stream().anyMatch(name::subdomain)) {
            answer.getHeader().setFlag(Flags.AD);
        }
        if (failing.contains(name) || failingTypes.contains(name + "/" + Type.string(question.getType()))) {
            answer.getHeader().setRcode(Rcode.SERVFAIL);
            return answer;
        }
        for (int i = 0; i < 8; i++) {
            Name current = name;
            records.stream()
                    .filter(each -> each.getName().equals(current) && each.getType() == question.getType())
                    .forEach(each -> answer.addRecord(each, Section.ANSWER));
            var alias = records.stream()
                    .filter(each -> each.getName().equals(current) && each instanceof CNAMERecord)
                    .findFirst();
            if (alias.isEmpty()) {
                break;
            }
            answer.addRecord(alias.get(), Section.ANSWER);
            name = ((CNAMERecord) alias.get()).getTarget();
        }
        Name last = name;
        if (answer.getSection(Section.ANSWER).isEmpty()) {
            if (records.stream().noneMatch(each -> each.getName().subdomain(last))) {
                answer.getHeader().setRcode(Rcode.NXDOMAIN);
            }
            answer.addRecord(
                    new SOARecord(ZONE, DClass.IN, TTL, name("ns.test"), name("root.test"), 1, 60, 60, 60, TTL),
                    Section.AUTHORITY);
        }
        return answer;
    }

    private static Name name(String text) {
        try {
            return Name.fromString(text, Name.root);
        } catch (TextParseException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static InetAddress address(String literal) {
        try {
            return InetAddress.getByName(literal);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
