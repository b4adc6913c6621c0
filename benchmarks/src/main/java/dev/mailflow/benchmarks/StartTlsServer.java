/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

import dev.mailflow.policy.testing.TestCertificates;

/**
 * An SMTP server that knows nothing but STARTTLS (RFC 3207), and after it passes on what comes to another server on
 * loopback, whose answers it passes back.
 */
final class StartTlsServer implements AutoCloseable {
    private static final int BACKLOG = 1_000;
    private static final int LONGEST_LINE = 512;

    private final ServerSocket listener;
    private final SSLContext tls;
    private final int next;
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "starttls");
        thread.setDaemon(true);
        return thread;
    });

    private StartTlsServer(ServerSocket listener, SSLContext tls, int next) {
        this.listener = listener;
        this.tls = tls;
        this.next = next;
    }

    /**
     * Listens on a free port.
     *
     * @param next the other server's port
     */
    static StartTlsServer start(TestCertificates.Issued certificate, int next) {
        try {
            StartTlsServer server = new StartTlsServer(
                    new ServerSocket(0, BACKLOG, InetAddress.getLoopbackAddress()), context(certificate), next);
            server.threads.execute(server::accept);
            return server;
        } catch (IOException | GeneralSecurityException e) {
            throw new BenchmarkFailure("cannot start the TLS server: " + e.getMessage(), e);
        }
    }

    private static SSLContext context(TestCertificates.Issued certificate) throws GeneralSecurityException {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(certificate.keyStore("server"), TestCertificates.PASSWORD.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    int port() {
        return listener.getLocalPort();
    }

    private void accept() {
        try {
            while (!listener.isClosed()) {
                Socket client = listener.accept();
                threads.execute(() -> serve(client));
            }
        } catch (IOException e) {
            // closed; if not by us, nobody is accepted any more and the measurement says so
            return;
        }
    }

    private void serve(Socket client) {
        try (client) {
            client.setTcpNoDelay(true);
            if (!untilStartTls(client)) {
                return;
            }
            try (SSLSocket secured = (SSLSocket) tls.getSocketFactory().createSocket(client, null, true);
                    Socket server = new Socket(InetAddress.getLoopbackAddress(), next)) {
                server.setTcpNoDelay(true);
                secured.startHandshake();
                // the greeting: the client has had one
                line(server.getInputStream());
                threads.execute(() -> pass(server, secured));
                secured.getInputStream().transferTo(server.getOutputStream());
            }
        } catch (IOException e) {
            // what the client does not get through here it will not have counted
            return;
        }
    }

    private static void pass(Socket from, Socket to) {
        try (to) {
            from.getInputStream().transferTo(to.getOutputStream());
        } catch (IOException e) {
            // one side is gone, and the other is told by closing
            return;
        }
    }

    /** Whether the client asked for TLS. */
    private static boolean untilStartTls(Socket client) throws IOException {
        InputStream in = client.getInputStream();
        OutputStream out = client.getOutputStream();
        reply(out, "220 " + NextHops.TLS_NAME + " ESMTP");
        while (true) {
            String command = line(in).toUpperCase(Locale.ROOT);
            if (command.equals("STARTTLS")) {
                reply(out, "220 2.0.0 Ready to start TLS");
                return true;
            } else if (command.startsWith("EHLO ")) {
                reply(out, "250-" + NextHops.TLS_NAME + "\r\n250 STARTTLS");
            } else if (command.equals("QUIT")) {
                reply(out, "221 2.0.0 Bye");
                return false;
            } else {
                reply(out, "530 5.7.0 Must issue a STARTTLS command first");
            }
        }
    }

    private static void reply(OutputStream out, String text) throws IOException {
        out.write((text + "\r\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** Byte by byte, for what follows the line may be TLS. */
    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0 || line.length() == LONGEST_LINE) {
                throw new EOFException("no line");
            }
            line.append((char) next);
        }
        return line.toString().strip();
    }

    @Override
    public void close() throws IOException {
        listener.close();
        threads.shutdownNow();
    }
}
