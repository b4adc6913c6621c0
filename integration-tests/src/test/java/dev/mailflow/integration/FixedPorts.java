/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;

/** Free ports of loopback for a gateway that keeps them over a restart, instead of those of the sample configuration. */
record FixedPorts(int smtp, int submission, int smtps, int imap, int imaps, int lmtp, int webadmin) {
    static FixedPorts free() throws IOException {
        List<ServerSocket> sockets = new ArrayList<>();
        try {
            // all held at once, so that no port comes twice
            for (int i = 0; i < 7; i++) {
                sockets.add(new ServerSocket(0));
            }
            List<Integer> ports =
                    sockets.stream().map(ServerSocket::getLocalPort).toList();
            return new FixedPorts(
                    ports.get(0), ports.get(1), ports.get(2), ports.get(3), ports.get(4), ports.get(5), ports.get(6));
        } finally {
            for (ServerSocket socket : sockets) {
                socket.close();
            }
        }
    }

    GatewayScenario.Builder in(GatewayScenario.Builder scenario) {
        return scenario.edit("smtpserver.xml", text -> text.replace(":2525<", ":" + smtp + "<")
                        .replace(":2587<", ":" + submission + "<")
                        .replace(":2465<", ":" + smtps + "<"))
                .edit("imapserver.xml", text -> text.replace(":2143<", ":" + imap + "<")
                        .replace(":2993<", ":" + imaps + "<"))
                .edit("lmtpserver.xml", text -> text.replace(":2424<", ":" + lmtp + "<"))
                .edit("webadmin.properties", text -> text.replaceAll("(?m)^port=.*$", "port=" + webadmin));
    }
}
