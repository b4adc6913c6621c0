/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.demo;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

import javax.mail.Address;
import javax.mail.Message;
import javax.mail.MessagingException;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * Sends mail as a neighbour's server does: STARTTLS, a certificate of its own if it has one, and the name in the other
 * side's certificate checked.
 *
 * @param heloName its own name
 * @param tls with its certificate, and the authority it trusts
 * @param world is told by what TLS the gateway was reached
 */
record Courier(String heloName, SSLContext tls, World world) {
    private static final String TIMEOUT = "15000";

    /** Where to. */
    record Hop(String host, String address, int port) {}

    /** Who is allowed to send, on a submission port. */
    record Login(String user, String password) {}

    /**
     * Sends one message.
     *
     * @param organization for XOORG; empty: not said
     * @throws IOException with the reply of the server that refused it
     */
    void send(
            Hop hop, String from, List<String> to, byte[] content, Optional<String> organization, Optional<Login> login)
            throws IOException {
        Properties properties = new Properties();
        properties.put("mail.smtp.localhost", heloName);
        properties.put("mail.smtp.from", from.isEmpty() ? "<>" : from);
        properties.put("mail.smtp.starttls.enable", "true");
        properties.put("mail.smtp.starttls.required", "true");
        Checking checking = new Checking(tls.getSocketFactory(), hop.host());
        properties.put("mail.smtp.ssl.socketFactory", checking);
        properties.put("mail.smtp.connectiontimeout", TIMEOUT);
        properties.put("mail.smtp.timeout", TIMEOUT);
        properties.put("mail.smtp.allow8bitmime", "true");
        organization.ifPresent(name -> properties.put("mail.smtp.mailextension", "XOORG=" + name));
        login.ifPresent(unused -> properties.put("mail.smtp.auth", "true"));
        try (Transport transport = Session.getInstance(properties).getTransport("smtp")) {
            transport.connect(
                    hop.address(),
                    hop.port(),
                    login.map(Login::user).orElse(null),
                    login.map(Login::password).orElse(null));
            Address[] recipients = new Address[to.size()];
            for (int i = 0; i < recipients.length; i++) {
                recipients[i] = new InternetAddress(to.get(i));
            }
            AsItIs message = new AsItIs(content);
            if (hop.host().equals(World.GATEWAY.name())) {
                world.reachedGateway(message.getSubject(), checking.protocol());
            }
            transport.sendMessage(message, recipients);
        } catch (MessagingException e) {
            Throwable last = e;
            while (last.getCause() != null && last.getCause() != last) {
                last = last.getCause();
            }
            throw new IOException(
                    "cannot send to " + hop.host() + ": " + e.getMessage()
                            + (last == e ? "" : " (" + last.getMessage() + ")"),
                    e);
        }
    }

    /** A message whose bytes go out as they are. */
    private static final class AsItIs extends MimeMessage {
        private final byte[] bytes;

        AsItIs(byte[] bytes) throws MessagingException {
            super(Session.getInstance(new Properties()), new ByteArrayInputStream(bytes));
            this.bytes = bytes;
        }

        @Override
        public void saveChanges() {
            // nothing is to be changed
        }

        @Override
        public void writeTo(OutputStream out, String[] ignored) throws IOException {
            out.write(bytes);
        }

        @Override
        public Address[] getRecipients(Message.RecipientType type) {
            return new Address[0];
        }

        @Override
        public InputStream getRawInputStream() {
            return new ByteArrayInputStream(bytes);
        }
    }

    /** Checks that the certificate bears the name of the host, though the connection was made to an address. */
    private static final class Checking extends SSLSocketFactory {
        private final SSLSocketFactory factory;
        private final String host;
        private SSLSocket secured;

        Checking(SSLSocketFactory factory, String host) {
            this.factory = factory;
            this.host = host;
        }

        @Override
        public Socket createSocket(Socket plain, String ignored, int port, boolean autoClose) throws IOException {
            secured = (SSLSocket) factory.createSocket(plain, host, port, autoClose);
            SSLParameters parameters = secured.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            secured.setSSLParameters(parameters);
            return secured;
        }

        /** Of the session that is under way; STARTTLS is required, so that there is one. */
        String protocol() {
            return secured.getSession().getProtocol();
        }

        @Override
        public Socket createSocket(String to, int port) throws IOException {
            return factory.createSocket(to, port);
        }

        @Override
        public Socket createSocket(String to, int port, InetAddress local, int localPort) throws IOException {
            return factory.createSocket(to, port, local, localPort);
        }

        @Override
        public Socket createSocket(InetAddress to, int port) throws IOException {
            return factory.createSocket(to, port);
        }

        @Override
        public Socket createSocket(InetAddress to, int port, InetAddress local, int localPort) throws IOException {
            return factory.createSocket(to, port, local, localPort);
        }

        @Override
        public String[] getDefaultCipherSuites() {
            return factory.getDefaultCipherSuites();
        }

        @Override
        public String[] getSupportedCipherSuites() {
            return factory.getSupportedCipherSuites();
        }
    }
}
