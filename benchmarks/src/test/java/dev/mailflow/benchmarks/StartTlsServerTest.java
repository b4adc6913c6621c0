/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.concurrent.CompletableFuture;

import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.policy.testing.TestCertificates;

@Timeout(30)
class StartTlsServerTest {
    private static final TestCertificates.Authority CA = TestCertificates.authority("Benchmark CA");

    @TempDir
    private Path directory;

    @Test
    void commandsShouldReachTheNextServerOverTlsOnly() throws Exception {
        try (ServerSocket next = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                StartTlsServer server =
                        StartTlsServer.start(CA.leaf("localhost").issue(), next.getLocalPort());
                Socket client = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
            CompletableFuture<String> received = CompletableFuture.supplyAsync(() -> greetAndAnswerOnce(next));

            assertThat(reader(client).readLine()).startsWith("220 ");
            assertThat(reply(client, "MAIL FROM:<a@contoso.com>")).startsWith("530 5.7.0 ");
            assertThat(reply(client, "EHLO client")).isEqualTo("250-mail.bench.test");
            assertThat(reply(client, "STARTTLS")).startsWith("220 ");
            try (SSLSocket secured = (SSLSocket)
                    trusting().getSocketFactory().createSocket(client, "localhost", client.getPort(), true)) {
                assertThat(reply(secured, "EHLO again"))
                        .as("the answer, without a second greeting")
                        .isEqualTo("250 next");
            }

            assertThat(received.get()).isEqualTo("EHLO again");
        }
    }

    /** A command's first line of reply. */
    private static String reply(Socket socket, String command) throws IOException {
        socket.getOutputStream().write((command + "\r\n").getBytes(StandardCharsets.US_ASCII));
        BufferedReader reader = reader(socket);
        String first = reader.readLine();
        for (String line = first; line.charAt(3) == '-'; ) {
            line = reader.readLine();
        }
        return first;
    }

    private static BufferedReader reader(Socket socket) throws IOException {
        return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
    }

    private static String greetAndAnswerOnce(ServerSocket next) {
        try (Socket session = next.accept()) {
            session.getOutputStream().write("220 next\r\n".getBytes(StandardCharsets.US_ASCII));
            String line = reader(session).readLine();
            session.getOutputStream().write("250 next\r\n".getBytes(StandardCharsets.US_ASCII));
            return line;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private SSLContext trusting() throws Exception {
        Path file = TestCertificates.writeTrustStore(directory.resolve("trust.p12"), CA.certificate());
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (var in = Files.newInputStream(file)) {
            store.load(in, TestCertificates.PASSWORD.toCharArray());
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
