/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

import org.apache.james.core.MailAddress;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.AttributeName;
import org.apache.mailet.Mail;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MailFileTest {
    @TempDir
    Path directory;

    @Test
    void readShouldGiveBackEverythingThatWasWritten() throws Exception {
        Mail mail = SampleMail.named("m-1");
        MailFile file = new MailFile(directory.resolve("m.mail"));

        file.write(mail);
        Mail read = file.read();

        assertThat(SampleMail.bytes(read)).isEqualTo(SampleMail.CONTENT.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(read.getName()).isEqualTo("m-1");
        assertThat(read.getMaybeSender()).isEqualTo(mail.getMaybeSender());
        assertThat(read.getRecipients()).containsExactlyElementsOf(mail.getRecipients());
        assertThat(read.getState()).isEqualTo("relay");
        assertThat(read.getErrorMessage()).isEqualTo("451 later");
        assertThat(read.getRemoteHost()).isEqualTo("client.example.net");
        assertThat(read.getRemoteAddr()).isEqualTo("192.0.2.1");
        assertThat(read.getLastUpdated()).isEqualTo(mail.getLastUpdated());
        assertThat(read.getAttribute(AttributeName.of("mailflow.inbound")))
                .isEqualTo(mail.getAttribute(AttributeName.of("mailflow.inbound")));
        assertThat(read.getAttribute(AttributeName.of("count")))
                .isEqualTo(mail.getAttribute(AttributeName.of("count")));
        assertThat(read.getPerRecipientSpecificHeaders().getHeaderNamesForRecipient(new MailAddress("bob@example.com")))
                .containsExactly("X-For");
    }

    @Test
    void nullSenderShouldStayNull() throws Exception {
        MailImpl mail = MailImpl.duplicate(SampleMail.named("m-2"));
        mail.setSender(MailAddress.nullSender());
        MailFile file = new MailFile(directory.resolve("m.mail"));

        file.write(mail);

        assertThat(file.read().getMaybeSender().isNullSender()).isTrue();
    }

    @Test
    void failedWriteShouldLeaveTheOldMailAndNoRemains() throws Exception {
        MailFile file = new MailFile(directory.resolve("m.mail"));
        file.write(SampleMail.named("old"));
        MailImpl broken =
                MailImpl.builder().name("new").addRecipient("bob@example.com").build();
        broken.setMessageNoCopy(new MimeMessageWrapper(new FailingSource("no bytes today")));

        assertThatThrownBy(() -> file.write(broken)).hasStackTraceContaining("no bytes today");

        assertThat(file.read().getName()).isEqualTo("old");
        assertThat(directory).isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void prepareShouldRemoveOnlyWhatACrashLeftUnfinished() throws Exception {
        Files.writeString(directory.resolve("x.tmp"), "half");
        Files.writeString(directory.resolve("y.mail"), "whole");

        MailFile.prepare(directory);

        assertThat(directory).isDirectoryContaining("glob:**y.mail").isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void readShouldSayWhatIsNoMail() throws Exception {
        Path path = Files.writeString(directory.resolve("z.mail"), "no line end");

        assertThatThrownBy(() -> new MailFile(path).read()).hasMessageContaining("z.mail");
        assertThatThrownBy(() -> new MailFile(directory.resolve("none")).read())
                .isInstanceOf(NoSuchFileException.class);
    }
}
