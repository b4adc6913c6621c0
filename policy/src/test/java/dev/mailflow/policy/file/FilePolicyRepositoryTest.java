/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.File;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import org.apache.james.core.Domain;
import org.apache.james.filesystem.api.FileSystem;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import com.google.inject.AbstractModule;
import com.google.inject.Guice;
import com.google.inject.Injector;
import com.google.inject.ProvisionException;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.mailflow.policy.InvalidPolicyException;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.PolicyRepositoryContract;
import dev.mailflow.policy.connection.ConnectionVerdict;
import dev.mailflow.policy.connection.IpAddress;

class FilePolicyRepositoryTest implements PolicyRepositoryContract {
    private static final String BROKEN = "<mailflow>\n<acceptedDomain/>\n</mailflow>";

    @TempDir
    private Path temporary;

    private final List<FilePolicyRepository> opened = new ArrayList<>();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private PolicyDirectory directory;

    @BeforeEach
    void prepare() {
        directory = new PolicyDirectory(temporary);
        log.start();
        logger().addAppender(log);
    }

    @AfterEach
    void close() {
        opened.forEach(FilePolicyRepository::close);
        logger().detachAppender(log);
    }

    private static Logger logger() {
        return (Logger) LoggerFactory.getLogger(FilePolicyRepository.class);
    }

    @Override
    public PolicyRepository repository() throws InvalidPolicyException {
        FilePolicyRepository repository =
                new FilePolicyRepository(directory.mailflowXml(), temporary, PolicyDirectory.CLOCK);
        opened.add(repository);
        return repository;
    }

    /** One that looks for changes only when the test says so. */
    private FilePolicyRepository unwatched() throws InvalidPolicyException {
        return new FilePolicyRepository(
                directory.mailflowXml(), temporary, PolicyDirectory.ENVIRONMENT, PolicyDirectory.CLOCK, false);
    }

    private static void pollUntilSettled(FilePolicyRepository repository) {
        for (int i = 0; i < 3; i++) {
            repository.poll();
        }
    }

    @Override
    public void publish(String acceptedDomain) {
        directory.write("mailflow.xml", accepting(acceptedDomain));
    }

    private static String accepting(String domain) {
        return "<mailflow><acceptedDomains><domain>" + domain + "</domain></acceptedDomains></mailflow>";
    }

    @Override
    public void publishBroken() {
        directory.write("mailflow.xml", BROKEN);
    }

    private static boolean accepts(PolicyRepository repository, String domain) {
        return repository.current().acceptedDomains().contains(Domain.of(domain));
    }

    private List<String> logged(Level level) {
        return log.list.stream()
                .filter(event -> event.getLevel() == level)
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    @Test
    void brokenPolicyAtTheStartShouldBeRefusedWithEveryProblem() {
        directory.write("mailflow.xml", "<mailflow>\n<a/>\n<b/>\n</mailflow>");

        assertThatThrownBy(this::repository)
                .isInstanceOf(InvalidPolicyException.class)
                .hasMessageContaining("mailflow.xml has 2 problems:")
                .hasMessageContaining("mailflow.xml:2: error: found unknown element <a>")
                .hasMessageContaining("mailflow.xml:3: error: found unknown element <b>");
    }

    @Test
    void missingFileAtTheStartShouldBeTheEmptyPolicyUntilThereIsOne() throws Exception {
        PolicyRepository repository = repository();
        assertThat(repository.current().version())
                .isEqualTo(MailFlowPolicy.empty("", Instant.EPOCH).version());
        assertThat(repository.pendingProblems()).isEmpty();
        assertThat(logged(Level.INFO)).singleElement().asString().contains("there is no", "mailflow.xml");

        publish("late.example");

        await().atMost(SOON).until(() -> accepts(repository, "late.example"));
    }

    @Test
    void vanishedFileShouldLeaveThePolicyInForceAndBeReported() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();

        Files.delete(directory.mailflowXml());

        await().atMost(REPORTED).until(() -> !repository.pendingProblems().isEmpty());
        assertThat(repository.pendingProblems().toString()).contains("there is no such file");
        assertThat(accepts(repository, "first.example")).isTrue();
    }

    @Test
    void atomicRenameShouldBeSeen() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();

        Path next = directory.write("mailflow.xml.tmp", accepting("other.example"));
        Files.setLastModifiedTime(next, Files.getLastModifiedTime(directory.mailflowXml()));
        Files.move(next, directory.mailflowXml(), StandardCopyOption.ATOMIC_MOVE);

        await().atMost(SOON).until(() -> accepts(repository, "other.example"));
    }

    @Test
    void editThatKeepsSizeAndTimeShouldBeSeen() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = unwatched();
        FileTime time = Files.getLastModifiedTime(directory.mailflowXml());

        publish("other.example");
        Files.setLastModifiedTime(directory.mailflowXml(), time);
        pollUntilSettled(repository);

        assertThat(accepts(repository, "other.example")).isTrue();
    }

    @Test
    void swapOfALinkedDirectoryShouldBeSeen() throws Exception {
        for (String version : List.of("v1", "v2")) {
            Files.createDirectory(temporary.resolve(version));
            directory.write(version + "/mailflow.xml", accepting(version + ".example"));
        }
        Path data = temporary.resolve("..data");
        Files.createSymbolicLink(data, Path.of("v1"));
        Files.createSymbolicLink(directory.mailflowXml(), Path.of("..data/mailflow.xml"));
        PolicyRepository repository = repository();
        assertThat(accepts(repository, "v1.example")).isTrue();

        Path next = Files.createSymbolicLink(temporary.resolve("..data_tmp"), Path.of("v2"));
        Files.move(next, data, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);

        await().atMost(SOON).until(() -> accepts(repository, "v2.example"));
    }

    @Test
    void changeOfAListFileShouldComeIntoForce() throws Exception {
        directory.write("block.txt", "192.0.2.1\n");
        directory.write(
                "mailflow.xml",
                "<mailflow><connectionFilter><blockFile>file://conf/block.txt</blockFile></connectionFilter></mailflow>");
        PolicyRepository repository = repository();

        directory.write("block.txt", "192.0.2.2\n");

        await().atMost(SOON)
                .until(() -> repository
                                .current()
                                .connectionFilter()
                                .verdict(IpAddress.parse("192.0.2.2"), Optional.empty(), PolicyDirectory.NOW)
                                .kind()
                        == ConnectionVerdict.Kind.BLOCK);
    }

    @Test
    void everyFileThePolicyNamesShouldBeWatched() throws Exception {
        directory.furnished();
        directory.write("mailflow.xml", PolicyDirectory.supportedExample());
        for (String name : List.of("allow.txt", "block.txt", "ca.pem", "gateway.p12", "dlp.secret")) {
            FilePolicyRepository repository = unwatched();
            byte[] good = Files.readAllBytes(temporary.resolve(name));

            Files.delete(temporary.resolve(name));
            pollUntilSettled(repository);
            assertThat(repository.pendingProblems().toString()).contains("conf/" + name, "there is no such file");

            Files.write(temporary.resolve(name), good);
            pollUntilSettled(repository);
            assertThat(repository.pendingProblems()).isEmpty();
        }
    }

    @Test
    void halfWrittenFileShouldNotBeReported() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = unwatched();

        directory.write("mailflow.xml", "<mailflow>");
        repository.poll();
        repository.poll();
        assertThat(repository.pendingProblems()).isEmpty();
        publish("second.example");
        pollUntilSettled(repository);

        assertThat(accepts(repository, "second.example")).isTrue();
        assertThat(repository.pendingProblems()).isEmpty();
        assertThat(logged(Level.ERROR)).isEmpty();
    }

    @Test
    void fileThatDoesNotRestShouldBeWaitedForAndToldOnce() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = unwatched();

        for (int i = 0; i < 50; i++) {
            publish("v" + i + ".example");
            repository.poll();
        }

        assertThat(accepts(repository, "first.example")).isTrue();
        assertThat(logged(Level.WARN))
                .singleElement()
                .asString()
                .contains(
                        "mailflow.xml has been changing for 10 s",
                        repository.current().version());
        pollUntilSettled(repository);
        assertThat(accepts(repository, "v49.example")).isTrue();
    }

    @Test
    void problemsShouldBeLoggedOncePerChange() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = unwatched();
        publishBroken();
        pollUntilSettled(repository);
        pollUntilSettled(repository);

        assertThat(logged(Level.ERROR))
                .satisfiesExactly(
                        line -> assertThat(line)
                                .contains("has a problem", repository.current().version()),
                        line -> assertThat(line)
                                .contains("mailflow.xml:2: error: found unknown element <acceptedDomain>"));

        directory.write("mailflow.xml", "<mailflow/><!--");
        pollUntilSettled(repository);
        assertThat(logged(Level.ERROR)).hasSize(4);

        String before = repository.current().version();
        publish("second.example");
        pollUntilSettled(repository);
        assertThat(logged(Level.INFO))
                .last()
                .asString()
                .contains(before, repository.current().version());
    }

    @Test
    void touchedFileShouldChangeNothing() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = unwatched();
        MailFlowPolicy before = repository.current();

        Files.setLastModifiedTime(directory.mailflowXml(), FileTime.from(Instant.EPOCH));
        pollUntilSettled(repository);

        assertThat(repository.current()).isSameAs(before);
    }

    @Test
    void warningsShouldBeLoggedAndNotHinderThePolicy() throws Exception {
        directory.write(
                "mailflow.xml",
                "<mailflow><connectionFilter><allow except='192.0.2.1'>192.0.2.1</allow></connectionFilter></mailflow>");
        FilePolicyRepository repository = unwatched();

        assertThat(logged(Level.WARN)).singleElement().asString().contains("mailflow.xml:1: warning: ");
        assertThat(repository.pendingProblems()).isEmpty();
    }

    @Test
    void closedRepositoryShouldKeepItsPolicyAndStopItsThread() throws Exception {
        publish("first.example");
        FilePolicyRepository repository = (FilePolicyRepository) repository();

        repository.close();
        repository.close();

        await().atMost(SOON).until(() -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().equals("mailflow-policy-watcher") && thread.isAlive()));
        assertThat(accepts(repository, "first.example")).isTrue();
    }

    @Test
    void guiceShouldMakeOneWithoutAnyModule() {
        publish("first.example");
        Injector injector = injector();

        PolicyRepository repository = injector.getInstance(PolicyRepository.class);
        opened.add((FilePolicyRepository) repository);

        assertThat(accepts(repository, "first.example")).isTrue();
        assertThat(injector.getInstance(PolicyRepository.class)).isSameAs(repository);
    }

    @Test
    void guiceShouldFailWithTheProblemsWhenThePolicyIsBroken() {
        publishBroken();

        assertThatThrownBy(() -> injector().getInstance(PolicyRepository.class))
                .isInstanceOf(ProvisionException.class)
                .hasMessageContaining("mailflow.xml:2: error: found unknown element <acceptedDomain>")
                .hasRootCauseInstanceOf(InvalidPolicyException.class);
    }

    private Injector injector() {
        return Guice.createInjector(new AbstractModule() {
            @Override
            protected void configure() {
                bind(FileSystem.class).toInstance(new ConfOnly(temporary));
            }
        });
    }

    private record ConfOnly(Path conf) implements FileSystem {
        @Override
        public InputStream getResource(String url) {
            throw new UnsupportedOperationException(url);
        }

        @Override
        public File getFile(String url) {
            return conf.resolve(url.substring(FILE_PROTOCOL_AND_CONF.length())).toFile();
        }

        @Override
        public File getBasedir() {
            return conf.toFile();
        }
    }
}
