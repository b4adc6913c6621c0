/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.webadmin;

import static spark.Spark.halt;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Optional;

import org.apache.james.webadmin.authentication.AuthenticationFilter;
import org.eclipse.jetty.http.HttpStatus;

import spark.Request;
import spark.Response;

/**
 * Lets a webadmin request pass that carries the password in its {@code Password} header, the header James 3.9 uses for
 * the same. A header no browser sends by itself also keeps web pages from reaching webadmin through somebody's browser.
 */
final class PasswordFilter implements AuthenticationFilter {
    private static final String HEADER = "Password";

    private final byte[] password;

    PasswordFilter(String password) {
        this.password = password.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void handle(Request request, Response response) {
        if (request.requestMethod().equals("OPTIONS")) {
            return;
        }
        Optional<byte[]> given =
                Optional.ofNullable(request.headers(HEADER)).map(value -> value.getBytes(StandardCharsets.UTF_8));
        if (given.isEmpty()) {
            halt(HttpStatus.UNAUTHORIZED_401, "No Password header.");
        }
        // constant time, so that the answer's delay says nothing about the password
        if (!MessageDigest.isEqual(password, given.get())) {
            halt(HttpStatus.UNAUTHORIZED_401, "Wrong password.");
        }
    }
}
