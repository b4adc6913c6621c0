/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

import com.google.common.net.InetAddresses;

import dev.mailflow.policy.testing.TestCertificates;
import dev.mailflow.policy.testing.TestCertificates.Issued;

/**
 * A client at the SMTP door that can come from any loopback address, through a proxy, over STARTTLS and with a
 * certificate; it returns replies instead of judging them.
 */
final class DoorClient implements AutoCloseable {
    private Socket socket;
    private InputStream in;

    private DoorClient(Socket socket) throws IOException {
        this.socket = socket;
        socket.setSoTimeout(30_000);
        in = new BufferedInputStream(socket.getInputStream());
    }

    /** How the client comes; it has said nothing yet but the PROXY header. */
    record Way(String from, Optional<byte[]> proxyHeader, boolean tls, Optional<Issued> certificate) {
        static Way plain(String from) {
            return new Way(from, Optional.empty(), false, Optional.empty());
        }

        Way withTls() {
            return new Way(from, proxyHeader, true, certificate);
        }

        Way withCertificate(Issued issued) {
            return new Way(from, proxyHeader, true, Optional.of(issued));
        }

        Way proxying(byte[] header) {
            return new Way(from, Optional.of(header), tls, certificate);
        }

        /** Connected, after EHLO, and after STARTTLS and another EHLO when the way is with TLS. */
        DoorClient open(int port) throws IOException {
            DoorClient client = connect(port);
            client.reply();
            client.command("EHLO client.test");
            if (tls) {
                client.startTls(certificate);
                client.command("EHLO client.test");
            }
            return client;
        }

        /** Connected, with the PROXY header sent and nothing read. */
        DoorClient connect(int port) throws IOException {
            Socket socket = new Socket();
            socket.bind(new InetSocketAddress(InetAddresses.forString(from), 0));
            socket.connect(new InetSocketAddress(InetAddresses.forString("127.0.0.1"), port));
            DoorClient client = new DoorClient(socket);
            if (proxyHeader.isPresent()) {
                client.send(proxyHeader.get());
            }
            return client;
        }
    }

    static byte[] proxyVersion1(String source) {
        String family = source.contains(":") ? "TCP6" : "TCP4";
        String destination = source.contains(":") ? "2001:db8::25" : "192.0.2.25";
        return ("PROXY " + family + " " + source + " " + destination + " 40000 25\r\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    /** Version 2 with the addresses as they are written: an IPv4-mapped one goes as IPv6. */
    static byte[] proxyVersion2(String source) throws IOException {
        boolean ipv6 = source.contains(":");
        byte[] client =
                ipv6 ? ipv6Bytes(source) : InetAddresses.forString(source).getAddress();
        byte[] server = ipv6 ? ipv6Bytes("2001:db8::25") : new byte[] {(byte) 192, 0, 2, 25};
        ByteBuffer header = ByteBuffer.allocate(16 + 2 * client.length + 4);
        header.put(proxyVersion2Signature()).put((byte) 0x21).put((byte) (ipv6 ? 0x21 : 0x11));
        header.putShort((short) (2 * client.length + 4)).put(client).put(server);
        return header.putShort((short) 40000).putShort((short) 25).array();
    }

    /** A proxy speaking for itself, as for a health check. */
    static byte[] proxyVersion2Local() {
        return ByteBuffer.allocate(16)
                .put(proxyVersion2Signature())
                .put((byte) 0x20)
                .put((byte) 0)
                .putShort((short) 0)
                .array();
    }

    private static byte[] proxyVersion2Signature() {
        return new byte[] {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    }

    private static byte[] ipv6Bytes(String address) throws IOException {
        byte[] bytes = InetAddresses.forString(address).getAddress();
        if (bytes.length == 16) {
            return bytes;
        }
        // the JDK makes IPv4 of IPv4-mapped
        return ByteBuffer.allocate(16)
                .putLong(0)
                .putShort((short) 0)
                .putShort((short) -1)
                .put(bytes)
                .array();
    }

    void startTls(Optional<Issued> certificate) throws IOException {
        String reply = command("STARTTLS");
        if (!reply.startsWith("220")) {
            throw new IOException("no STARTTLS: " + reply);
        }
        try {
            KeyManager[] keys = {};
            if (certificate.isPresent()) {
                KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
                factory.init(certificate.get().keyStore("client"), TestCertificates.PASSWORD.toCharArray());
                keys = factory.getKeyManagers();
            }
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys, new TrustManager[] {new AnyServer()}, null);
            SSLSocket secured =
                    (SSLSocket) context.getSocketFactory().createSocket(socket, "127.0.0.1", socket.getPort(), true);
            secured.startHandshake();
            socket = secured;
            in = new BufferedInputStream(secured.getInputStream());
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }

    void send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
    }

    /** The last line of the reply; empty when the server closed the connection. */
    String command(String line) throws IOException {
        List<String> lines = lines(line);
        return lines.isEmpty() ? "" : lines.get(lines.size() - 1);
    }

    /** All lines of the reply. */
    List<String> lines(String line) throws IOException {
        try {
            send((line + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
        } catch (SocketException e) {
            return List.of();
        }
        return replyLines();
    }

    String reply() throws IOException {
        List<String> lines = replyLines();
        return lines.isEmpty() ? "" : lines.get(lines.size() - 1);
    }

    private List<String> replyLines() throws IOException {
        List<String> lines = new ArrayList<>();
        String line;
        do {
            line = readLine();
            if (line.isEmpty()) {
                return List.of();
            }
            lines.add(line);
        } while (line.length() > 3 && line.charAt(3) == '-');
        return lines;
    }

    private String readLine() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        try {
            for (int c = in.read(); c >= 0 && c != '\n'; c = in.read()) {
                if (c != '\r') {
                    line.write(c);
                }
            }
        } catch (SocketException e) {
            // it closed with bytes of ours unread, which breaks the connection
            return "";
        }
        return line.toString(StandardCharsets.ISO_8859_1);
    }

    /** MAIL, RCPT, DATA: the first reply that is not positive, else the reply to the final dot. */
    String deliver(String mail, String recipient, String message) throws IOException {
        for (String command : List.of("MAIL FROM:" + mail, "RCPT TO:<" + recipient + ">", "DATA")) {
            String reply = command(command);
            if (reply.isEmpty() || reply.charAt(0) > '3') {
                return reply;
            }
        }
        send(message.getBytes(StandardCharsets.ISO_8859_1));
        return command(".");
    }

    /** Breaks the connection instead of closing it. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    /** The test's subject is what the server thinks of the client. */
    private static final class AnyServer implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
