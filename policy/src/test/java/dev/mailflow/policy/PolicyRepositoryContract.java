/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

import org.junit.jupiter.api.Test;

/** What every {@link PolicyRepository} promises. */
public interface PolicyRepositoryContract {

    /** How long a change may take to come into force on a machine that is busy; two seconds are promised on one that is not. */
    Duration SOON = Duration.ofSeconds(20);

    /** How long a mistake may take to be told: a file half-written is given time. */
    Duration REPORTED = Duration.ofSeconds(20);

    /** The repository under test; the first call follows a first {@link #publish}. */
    PolicyRepository repository() throws Exception;

    /** Makes a policy that accepts this domain the newest one. */
    void publish(String acceptedDomain) throws Exception;

    /** Makes something that is no policy the newest one. */
    void publishBroken() throws Exception;

    private static List<String> accepted(MailFlowPolicy policy) {
        return policy.acceptedDomains().entries().stream()
                .map(domain -> domain.pattern().toString())
                .toList();
    }

    @Test
    default void currentShouldBeThePolicyThatWasThereFirst() throws Exception {
        publish("first.example");

        PolicyRepository repository = repository();

        assertThat(accepted(repository.current())).containsExactly("first.example");
        assertThat(repository.pendingProblems()).isEmpty();
    }

    @Test
    default void newerPolicyShouldComeIntoForceSoon() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        String before = repository.current().version();

        publish("second.example");

        await().atMost(SOON)
                .untilAsserted(() -> assertThat(accepted(repository.current())).containsExactly("second.example"));
        assertThat(repository.current().version()).isNotEqualTo(before);
    }

    @Test
    default void brokenPolicyShouldLeaveTheLastGoodOneInForceAndBeReported() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        MailFlowPolicy good = repository.current();

        publishBroken();

        await().atMost(REPORTED).untilAsserted(() -> assertThat(repository.pendingProblems())
                .anyMatch(problem -> problem.severity() == PolicyProblem.Severity.ERROR));
        assertThat(repository.current()).isSameAs(good);
    }

    @Test
    default void mendedPolicyShouldComeIntoForceAndClearTheReport() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        publishBroken();
        await().atMost(REPORTED).until(() -> !repository.pendingProblems().isEmpty());

        publish("mended.example");

        await().atMost(SOON)
                .untilAsserted(() -> assertThat(accepted(repository.current())).containsExactly("mended.example"));
        assertThat(repository.pendingProblems()).isEmpty();
    }

    @Test
    default void returnToThePolicyInForceShouldClearTheReportAndTellNobody() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        MailFlowPolicy good = repository.current();
        List<MailFlowPolicy> told = new CopyOnWriteArrayList<>();
        repository.subscribe(told::add);
        publishBroken();
        await().atMost(REPORTED).until(() -> !repository.pendingProblems().isEmpty());

        publish("first.example");

        await().atMost(SOON).until(() -> repository.pendingProblems().isEmpty());
        assertThat(repository.current().version()).isEqualTo(good.version());
        assertThat(told).isEmpty();
    }

    @Test
    default void listenersShouldBeToldEachNewPolicyInForceOnce() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        List<String> told = new CopyOnWriteArrayList<>();
        repository.subscribe(policy -> {
            throw new IllegalStateException("a listener that fails");
        });
        repository.subscribe(policy -> {
            assertThat(repository.current()).isSameAs(policy);
            told.addAll(accepted(policy));
        });

        publish("second.example");
        await().atMost(SOON).until(() -> told.size() == 1);
        publishBroken();
        await().atMost(REPORTED).until(() -> !repository.pendingProblems().isEmpty());
        publish("third.example");
        await().atMost(SOON).until(() -> told.size() == 2);

        assertThat(told).containsExactly("second.example", "third.example");
    }

    @Test
    default void listenerShouldHearNothingAfterItsSubscriptionEnded() throws Exception {
        publish("first.example");
        PolicyRepository repository = repository();
        List<String> ended = new CopyOnWriteArrayList<>();
        List<String> kept = new CopyOnWriteArrayList<>();
        PolicyRepository.Subscription subscription = repository.subscribe(policy -> ended.addAll(accepted(policy)));
        repository.subscribe(policy -> kept.addAll(accepted(policy)));

        subscription.close();
        subscription.close();
        publish("second.example");

        await().atMost(SOON).until(() -> kept.size() == 1);
        assertThat(ended).isEmpty();
    }
}
