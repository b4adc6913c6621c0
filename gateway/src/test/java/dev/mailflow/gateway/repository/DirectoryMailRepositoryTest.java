/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.repository;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import javax.mail.MessagingException;

import org.apache.james.mailrepository.api.MailKey;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.gateway.storage.SampleMail;

class DirectoryMailRepositoryTest {
    @TempDir
    Path directory;

    private DirectoryMailRepository repository;

    @BeforeEach
    void open() throws Exception {
        repository = new DirectoryMailRepository(directory);
    }

    @Test
    void storedMailShouldBeFoundByAnotherRepositoryOnTheSameDirectory() throws Exception {
        MailKey key = repository.store(SampleMail.named("Mail1-a/b:c é"));

        DirectoryMailRepository reopened = new DirectoryMailRepository(directory);

        assertThat(key.asString()).isEqualTo("Mail1-a/b:c é");
        assertThat(List.of(key)).containsExactlyElementsOf(() -> list(reopened).iterator());
        assertThat(reopened.size()).isEqualTo(1);
        assertThat(SampleMail.bytes(reopened.retrieve(key))).isEqualTo(SampleMail.bytes(SampleMail.named("any")));
    }

    @Test
    void storingTheSameNameShouldReplaceTheMail() throws Exception {
        repository.store(SampleMail.named("same"));
        repository.store(SampleMail.named("same"));

        assertThat(repository.size()).isEqualTo(1);
    }

    @Test
    void removedAndUnknownMailsShouldBeAbsent() throws Exception {
        MailKey key = repository.store(SampleMail.named("gone"));

        repository.remove(key);
        repository.remove(key);

        assertThat(repository.retrieve(key)).isNull();
        assertThat(repository.size()).isZero();
    }

    @Test
    void removeAllShouldLeaveNothing() throws Exception {
        repository.store(SampleMail.named("one"));
        repository.store(SampleMail.named("two"));

        repository.removeAll();

        assertThat(repository.list()).isExhausted();
    }

    @Test
    void mailThatCannotBeReadShouldStay() throws Exception {
        Path damaged = Files.writeString(directory.resolve("damaged.mail"), "{\"name\": nonsense\n");

        assertThatThrownBy(() -> repository.retrieve(new MailKey("damaged")))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining(damaged.toString());
        assertThat(damaged).exists();
    }

    private static List<MailKey> list(DirectoryMailRepository repository) {
        try {
            List<MailKey> keys = new java.util.ArrayList<>();
            repository.list().forEachRemaining(keys::add);
            return keys;
        } catch (MessagingException e) {
            throw new AssertionError(e);
        }
    }
}
