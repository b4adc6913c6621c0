/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;

/** Free ports of loopback for a gateway that keeps them over a restart, instead of those of the sample configuration. */
record FixedPorts(int smtp, int submission, int smtps, int imap, int imaps, int lmtp, int webadmin) {
    static FixedPorts free() throws IOException {
        return new FixedPorts(
                FreePort.next(),
                FreePort.next(),
                FreePort.next(),
                FreePort.next(),
                FreePort.next(),
                FreePort.next(),
                FreePort.next());
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
