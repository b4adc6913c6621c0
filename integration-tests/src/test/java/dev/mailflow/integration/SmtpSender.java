/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** A plain SMTP client: what it sends is what the test says, and every reply but the expected one is an error. */
final class SmtpSender {
    private final String host;
    private final int port;

    SmtpSender(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /** Sends one message and returns the reply to its final dot. */
    String send(String from, List<String> recipients, String message) throws IOException {
        try (Session session = open()) {
            return session.send(from, recipients, message);
        }
    }

    /** A message with a subject, to be recognised by it. */
    static String message(String subject) {
        return "From: joe@contoso.com\r\nTo: undisclosed-recipients:;\r\nMessage-ID: <" + subject
                + "@contoso.com>\r\nSubject: " + subject + "\r\n\r\nBody of " + subject + "\r\n";
    }

    Session open() throws IOException {
        return new Session(new Socket(host, port));
    }

    /** One connection, for any number of messages. */
    static final class Session implements AutoCloseable {
        private final Socket socket;
        private final BufferedReader in;
        private final BufferedWriter out;

        private Session(Socket socket) throws IOException {
            this.socket = socket;
            socket.setSoTimeout(30_000);
            in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
            out = new BufferedWriter(new OutputStreamWriter(socket.getOutputStream(), StandardCharsets.ISO_8859_1));
            expect("220");
            command("EHLO client.test", "250");
        }

        String send(String from, List<String> recipients, String message) throws IOException {
            command("MAIL FROM:<" + from + ">", "250");
            for (String recipient : recipients) {
                command("RCPT TO:<" + recipient + ">", "250");
            }
            command("DATA", "354");
            out.write(message.replace("\r\n.", "\r\n.."));
            return command(message.endsWith("\r\n") ? "." : "\r\n.", "250");
        }

        /** Sends a command and returns the last line of the reply, which must begin with the code. */
        String command(String line, String code) throws IOException {
            out.write(line + "\r\n");
            out.flush();
            return expect(code);
        }

        private String expect(String code) throws IOException {
            String line;
            do {
                line = in.readLine();
                if (line == null) {
                    throw new IOException("the server closed the connection, expected " + code);
                }
            } while (line.length() > 3 && line.charAt(3) == '-');
            if (!line.startsWith(code)) {
                throw new IOException("found '" + line + "', expected " + code);
            }
            return line;
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }
}
