/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

import dev.mailflow.gateway.tls.ServerCertificate;

/** What a newcomer reads after the start: where the gateway listens, and how to send and read a first mail. */
record Welcome(Gateway gateway) {

    String text() {
        StringBuilder text = new StringBuilder("\nMailflow gateway is running.\n\n");
        for (Endpoint endpoint : gateway.endpoints()) {
            text.append("  %-11s %-21s %s%n".formatted(endpoint.name(), endpoint.hostAndPort(), endpoint.security()));
        }
        text.append("\n  policy      %s%n  data        %s%n"
                .formatted(gateway.conf().resolve("mailflow.xml"), gateway.data()));
        gateway.firstMailbox().ifPresent(mailbox -> text.append(firstMail(mailbox)));
        Path password = gateway.data().resolve("webadmin.password");
        if (Files.exists(password)) {
            text.append(adminCommand(password));
        }
        return text.append("\nStop it with Ctrl-C or SIGTERM.").toString();
    }

    private String firstMail(FirstMailbox mailbox) {
        StringBuilder text = new StringBuilder(
                "  mailbox     %s, its password is in %s%n".formatted(mailbox.address(), mailbox.passwordFile()));
        find("smtp").ifPresent(smtp -> text.append("%nSend a first mail:%n%n".formatted())
                .append(
                        "  swaks --server %s --from you@example.net --to %s --header 'Subject: Hello' --body 'It works.'%n"
                                .formatted(smtp.hostAndPort(), mailbox.address())));
        find("imaps").ifPresent(imaps -> text.append("%nRead it:%n%n".formatted())
                .append("  curl --silent --cacert '%s' --user \"%s:$(cat '%s')\" 'imaps://%s/INBOX;MAILINDEX=1'%n"
                        .formatted(
                                ServerCertificate.certificate(gateway.data()),
                                mailbox.address(),
                                mailbox.passwordFile(),
                                imaps.hostAndPort())));
        return text.toString();
    }

    private String adminCommand(Path password) {
        return find("webadmin")
                .map(webAdmin ->
                        ("%nAdd a mailbox:%n%n  curl --request PUT --header \"Password: $(cat '%s')\" --header 'Content-Type: application/json'"
                                        + " --data '{\"password\":\"...\"}' http://%s/users/bob@%s%n")
                                .formatted(
                                        password,
                                        webAdmin.hostAndPort(),
                                        gateway.firstMailbox()
                                                .map(mailbox ->
                                                        mailbox.address().substring("postmaster@".length()))
                                                .orElse("example.com")))
                .orElse("");
    }

    private Optional<Endpoint> find(String name) {
        return gateway.endpoints().stream()
                .filter(endpoint -> endpoint.name().equals(name))
                .findFirst();
    }
}
