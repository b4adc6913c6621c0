/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.net.InetSocketAddress;
import java.util.Optional;

import org.apache.james.protocols.api.ProtocolTransport;
import org.apache.james.protocols.api.ProxyInformation;
import org.apache.james.protocols.smtp.SMTPConfiguration;
import org.apache.james.smtpserver.ExtendedSMTPSession;

import dev.mailflow.gateway.storage.IncomingMessage;

/**
 * James's session, which has the message that comes in ({@link ReceiveLines}), and whose remote address never makes anybody wait for reverse DNS: {@code getHostName()} of it is the
 * client's confirmed name or its address. Once a sender is accepted the name is worth a short wait ({@link ClientNames}).
 */
final class GatewaySmtpSession extends ExtendedSMTPSession {
    private final ClientNames names;
    private Optional<ClientNames.Client> client = Optional.empty();
    private Optional<IncomingMessage> incoming = Optional.empty();

    GatewaySmtpSession(SMTPConfiguration configuration, ProtocolTransport transport, ClientNames names) {
        super(configuration, transport);
        this.names = names;
        this.client = Optional.ofNullable(super.getRemoteAddress()).map(remote -> names.of(remote.getAddress()));
    }

    /** From here on the client is the one that the proxy names. */
    @Override
    public void setProxyInformation(ProxyInformation information) {
        super.setProxyInformation(information);
        client = Optional.of(names.of(information.getSource().getAddress()));
    }

    /** A message begins to come in. */
    void begin(IncomingMessage message) {
        incoming = Optional.of(message);
    }

    /** The message that comes in. */
    IncomingMessage incoming() {
        return incoming.orElseThrow();
    }

    /** Forgets the transaction, and the message that came in with it. */
    @Override
    public void resetState() {
        super.resetState();
        forgetMessage();
    }

    void forgetMessage() {
        incoming.ifPresent(IncomingMessage::dispose);
        incoming = Optional.empty();
    }

    /** @return null when the client was gone before anybody asked, as James's session does */
    @Override
    public InetSocketAddress getRemoteAddress() {
        InetSocketAddress remote = super.getRemoteAddress();
        if (remote == null || client == null || client.isEmpty()) {
            // null: James's constructor asks
            return remote;
        }
        boolean inMail = getAttachment(SENDER, State.Transaction).isPresent();
        return new InetSocketAddress(
                inMail ? client.get().awaited() : client.get().known(), remote.getPort());
    }
}
