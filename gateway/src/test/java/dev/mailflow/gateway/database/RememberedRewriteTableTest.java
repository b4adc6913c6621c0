/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.database;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.apache.james.rrt.api.RecipientRewriteTable;
import org.apache.james.rrt.api.RecipientRewriteTableException;
import org.apache.james.rrt.lib.Mapping;
import org.apache.james.rrt.lib.MappingSource;
import org.apache.james.rrt.lib.Mappings;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import dev.mailflow.gateway.Gateway;
import dev.mailflow.gateway.SampleConfiguration;

/** The table of a running gateway, on its database. */
class RememberedRewriteTableTest {
    private static final MappingSource SALES = MappingSource.fromUser("sales", Domain.of("example.com"));

    private static Gateway gateway;
    private static RecipientRewriteTable table;

    @BeforeAll
    static void start(@TempDir Path directory) throws Exception {
        gateway = Gateway.builder()
                .conf(SampleConfiguration.copyTo(directory.resolve("conf")).directory())
                .data(directory.resolve("data"))
                .ephemeralPorts()
                .build()
                .start();
        table = gateway.instance(RecipientRewriteTable.class);
        assertThat(table).isInstanceOf(RememberedRewriteTable.class);
    }

    @AfterAll
    static void stop() {
        gateway.close();
    }

    private static Mapping alias(int number) {
        return Mapping.alias("user" + number + "@example.com");
    }

    @Test
    void everyChangeShouldBeSeenAtOnceThoughOthersReadAllTheTime() throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        CountDownLatch reading = new CountDownLatch(1);
        CompletableFuture<Void> reader = CompletableFuture.runAsync(() -> {
            while (!done.get()) {
                read(SALES);
                reading.countDown();
            }
        });
        assertThat(reading.await(30, TimeUnit.SECONDS)).isTrue();
        try {
            for (int i = 0; i < 100; i++) {
                table.addMapping(SALES, alias(i));
                assertThat(read(SALES).contains(alias(i))).as("added " + i).isTrue();
                table.removeMapping(SALES, alias(i));
                assertThat(read(SALES).contains(alias(i))).as("removed " + i).isFalse();
            }
        } finally {
            done.set(true);
        }
        reader.get(30, TimeUnit.SECONDS);
    }

    @Test
    void whatMailIsRewrittenToShouldFollowAChange() throws Exception {
        MailAddress address = new MailAddress("info@example.com");
        MappingSource info = MappingSource.fromMailAddress(address);
        assertThat(table.getResolvedMappings(address.getLocalPart(), address.getDomain())
                        .isEmpty())
                .isTrue();

        table.addAliasMapping(info, "ann@example.com");
        assertThat(table.getResolvedMappings(address.getLocalPart(), address.getDomain())
                        .asStrings())
                .containsExactly("alias:ann@example.com");
        table.addForwardMapping(MappingSource.fromUser("ann", Domain.of("example.com")), "bob@example.com");
        assertThat(table.getResolvedMappings(address.getLocalPart(), address.getDomain())
                        .asStrings())
                .containsExactly("forward:bob@example.com");
        table.removeAliasMapping(info, "ann@example.com");
        assertThat(table.getResolvedMappings(address.getLocalPart(), address.getDomain())
                        .isEmpty())
                .isTrue();
    }

    private static Mappings read(MappingSource source) {
        try {
            return table.getStoredMappings(source);
        } catch (RecipientRewriteTableException e) {
            throw new AssertionError(e);
        }
    }
}
