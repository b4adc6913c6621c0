/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;

import dev.mailflow.policy.testing.TestCertificates;

/** A web server on loopback, with one certificate for all hosts; what it has no page for is 404. */
public final class WebServer implements AutoCloseable {
    private final HttpsServer server;
    private final Map<String, Page> pages = new ConcurrentHashMap<>();
    private final List<Posted> posted = new CopyOnWriteArrayList<>();
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private volatile CountDownLatch held = new CountDownLatch(0);

    private record Page(int status, String mediaType, String text) {}

    /** What was sent to us. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Posted(String path, String mediaType, byte[] content) {}

    private WebServer(HttpsServer server) {
        this.server = server;
    }

    public static WebServer start(TestCertificates.Issued certificate) {
        try {
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(certificate.keyStore("web"), TestCertificates.PASSWORD.toCharArray());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), null, null);
            HttpsServer https = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            https.setHttpsConfigurator(new HttpsConfigurator(context));
            WebServer web = new WebServer(https);
            https.createContext("/", web::answer);
            https.setExecutor(web.threads);
            https.start();
            return web;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    public int port() {
        return server.getAddress().getPort();
    }

    /** @param url host and path, without scheme */
    public WebServer page(String url, int status, String mediaType, String text) {
        pages.put(url, new Page(status, mediaType, text));
        return this;
    }

    public WebServer forget(String url) {
        pages.remove(url);
        return this;
    }

    /** Lets all wait for their answers until {@link #release}. */
    public WebServer hold() {
        held = new CountDownLatch(1);
        return this;
    }

    public void release() {
        held.countDown();
    }

    /** What has been asked for, host and path each. */
    public List<String> asked() {
        return List.copyOf(asked);
    }

    public List<Posted> posted() {
        return List.copyOf(posted);
    }

    private void answer(HttpExchange exchange) throws IOException {
        String host = exchange.getRequestHeaders().getFirst("Host").replaceFirst(":.*", "");
        asked.add(host + exchange.getRequestURI().getPath());
        try {
            held.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            exchange.close();
            return;
        }
        byte[] content = exchange.getRequestBody().readAllBytes();
        if (exchange.getRequestMethod().equals("POST")) {
            posted.add(new Posted(
                    exchange.getRequestURI().toString(),
                    exchange.getRequestHeaders().getFirst("Content-Type"),
                    content));
        }
        Page page =
                pages.getOrDefault(host + exchange.getRequestURI().getPath(), new Page(404, "text/plain", "not here"));
        byte[] text = page.text().getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", page.mediaType());
        exchange.getResponseHeaders().set("Location", "https://" + host + "/elsewhere");
        exchange.sendResponseHeaders(page.status(), text.length);
        exchange.getResponseBody().write(text);
        exchange.close();
    }

    @Override
    public void close() {
        release();
        server.stop(0);
        threads.shutdownNow();
    }
}
