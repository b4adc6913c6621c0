/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.io.InputStream;
import java.nio.file.Path;

import javax.mail.MessagingException;

import org.apache.james.filesystem.api.FileSystem;
import org.apache.james.metrics.tests.RecordingMetricFactory;
import org.apache.james.queue.api.RawMailQueueItemDecoratorFactory;
import org.apache.james.queue.memory.MemoryMailQueueFactory;
import org.apache.mailet.base.test.FakeMailContext;
import org.apache.mailet.base.test.FakeMailetConfig;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import dev.mailflow.delivery.queue.DeliveryService;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.testing.GivenPolicy;

/** The parameters of the mailet. */
class RouteToConnectorTest {
    private static final String PATIENCE = "addressPatienceMillis";

    @TempDir
    Path directory;

    private RouteToConnector initialised(String parameter, String value) throws MessagingException {
        GivenPolicy policy = GivenPolicy.of("");
        MailFlowEvents events = new MailFlowEvents();
        FileSystem files = new FileSystem() {
            @Override
            public InputStream getResource(String url) {
                throw new UnsupportedOperationException(url);
            }

            @Override
            public File getFile(String url) {
                return directory
                        .resolve(url.substring(FileSystem.FILE_PROTOCOL_AND_VAR.length()))
                        .toFile();
            }

            @Override
            public File getBasedir() {
                return directory.toFile();
            }
        };
        RouteToConnector mailet = new RouteToConnector(
                policy,
                new DeliveryService(
                        policy,
                        new MemoryMailQueueFactory(new RawMailQueueItemDecoratorFactory()),
                        new RecordingMetricFactory(),
                        events),
                events,
                files);
        mailet.init(FakeMailetConfig.builder()
                .mailetName("RouteToConnector")
                .mailetContext(FakeMailContext.defaultContext())
                .setProperty("heloName", "mail.contoso.com")
                .setProperty(parameter, value)
                .build());
        return mailet;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                PATIENCE + " | 9 | 10 to 30000",
                PATIENCE + " | 30001 | 10 to 30000",
                PATIENCE + " | 0 | 10 to 30000",
                PATIENCE + " | -250 | 10 to 30000",
                PATIENCE + " | '' | 10 to 30000",
                PATIENCE + " | 250ms | 10 to 30000",
                PATIENCE + " | 2.5 | 10 to 30000",
                PATIENCE + " | 99999999999 | 10 to 30000",
                "mxPort | 0 | 1 to 65535",
                "mxPort | 65536 | 1 to 65535",
                "mxPort | smtp | 1 to 65535",
            })
    void wrongNumbersShouldKeepTheServerFromStartingAndBeNamed(String parameter, String value, String expected) {
        assertThatThrownBy(() -> initialised(parameter, value))
                .isInstanceOf(MessagingException.class)
                .hasMessage("parameter <" + parameter + ">: found '" + value + "', expected a number from " + expected);
    }

    @ParameterizedTest
    @CsvSource({PATIENCE + ", 10", PATIENCE + ", 30000", PATIENCE + ", ' 250 '", "mxPort, 1", "mxPort, 65535"})
    void numbersInRangeShouldBeTaken(String parameter, String value) throws Exception {
        RouteToConnector mailet = initialised(parameter, value);

        assertThat(mailet.getMailetInfo()).isNotEmpty();
        mailet.destroy();
    }
}
