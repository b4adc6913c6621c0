/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.policy.explain.ExplainRequest;

/**
 * The administration of a gateway that runs, over HTTP.
 *
 * @param url its base, e.g. {@code http://127.0.0.1:8000}
 * @param passwordFile holds the password it asks for
 */
record RunningGateway(URI url, Optional<Path> passwordFile) {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    /**
     * Asks what would become of a message.
     *
     * @throws IOException saying why there is no answer
     */
    ObjectNode explain(ExplainRequest request) throws IOException {
        HttpRequest.Builder post = HttpRequest.newBuilder(URI.create(base() + "/mailflow/explain"))
                .timeout(PATIENCE)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(request.toJson()));
        if (passwordFile.isPresent()) {
            post.header("Password", Files.readString(passwordFile.get()).trim());
        }
        try {
            HttpResponse<String> response = HttpClient.newBuilder()
                    .connectTimeout(PATIENCE)
                    .build()
                    .send(post.build(), HttpResponse.BodyHandlers.ofString());
            return answer(response);
        } catch (java.net.ConnectException e) {
            throw new IOException("nobody answers at " + url + ", expected a running gateway's administration", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private String base() {
        String text = url.toString();
        return text.endsWith("/") ? text.substring(0, text.length() - 1) : text;
    }

    private ObjectNode answer(HttpResponse<String> response) throws IOException {
        if (response.statusCode() == 401) {
            throw new IOException(url + " wants a password: give the file that holds it with --password-file");
        }
        JsonNode body;
        try {
            body = new ObjectMapper().readTree(response.body());
        } catch (JsonProcessingException e) {
            body = null;
        }
        if (response.statusCode() != 200 || !(body instanceof ObjectNode explanation)) {
            throw new IOException(url + " answered " + response.statusCode() + ", expected an explanation"
                    + (body != null && body.hasNonNull("message")
                            ? ": " + body.get("message").asText()
                            : ""));
        }
        return explanation;
    }
}
