/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Arrays;

import org.xbill.DNS.ARecord;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.MXRecord;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Record;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/** A name server on loopback to which every domain has one MX host of its own, and every host the address 127.0.0.1. */
final class EveryName implements AutoCloseable {
    private static final long SECONDS_TO_LIVE = 3_600;
    private static final int LONGEST = 4_096;

    private final DatagramSocket socket;

    private EveryName(DatagramSocket socket) {
        this.socket = socket;
    }

    static EveryName start() {
        try {
            EveryName names =
                    new EveryName(new DatagramSocket(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
            Thread thread = new Thread(names::serve, "every-name");
            thread.setDaemon(true);
            thread.start();
            return names;
        } catch (IOException e) {
            throw new BenchmarkFailure("cannot serve names on 127.0.0.1: " + e.getMessage(), e);
        }
    }

    int port() {
        return socket.getLocalPort();
    }

    private void serve() {
        byte[] buffer = new byte[LONGEST];
        while (!socket.isClosed()) {
            DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
            try {
                socket.receive(packet);
                byte[] answer = answer(new Message(Arrays.copyOf(buffer, packet.getLength())))
                        .toWire();
                socket.send(new DatagramPacket(answer, answer.length, packet.getSocketAddress()));
            } catch (IOException e) {
                // closed; a question that is not answered is noticed by whoever asked
                return;
            }
        }
    }

    private static Message answer(Message question) throws IOException {
        Record asked = question.getQuestion();
        Message answer = new Message(question.getHeader().getID());
        answer.getHeader().setFlag(Flags.QR);
        answer.getHeader().setFlag(Flags.AA);
        answer.getHeader().setFlag(Flags.RA);
        answer.addRecord(asked, Section.QUESTION);
        Name name = asked.getName();
        switch (asked.getType()) {
            case Type.MX -> answer.addRecord(
                    new MXRecord(name, DClass.IN, SECONDS_TO_LIVE, 10, Name.concatenate(Name.fromString("mx"), name)),
                    Section.ANSWER);
            case Type.A -> answer.addRecord(
                    new ARecord(name, DClass.IN, SECONDS_TO_LIVE, InetAddress.getLoopbackAddress()), Section.ANSWER);
            default -> answer.addRecord(
                    new SOARecord(
                            Name.root,
                            DClass.IN,
                            SECONDS_TO_LIVE,
                            Name.root,
                            Name.root,
                            1,
                            SECONDS_TO_LIVE,
                            SECONDS_TO_LIVE,
                            SECONDS_TO_LIVE,
                            SECONDS_TO_LIVE),
                    Section.AUTHORITY);
        }
        return answer;
    }

    @Override
    public void close() {
        socket.close();
    }
}
