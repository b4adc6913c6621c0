/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

import org.apache.commons.configuration2.BaseHierarchicalConfiguration;
import org.apache.commons.configuration2.ex.ConfigurationException;
import org.apache.james.protocols.api.handler.ProtocolHandler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvents;

/** An administrator's mistake in smtpserver.xml names the handler, the parameter, what was found and what would be right. */
class HandlerParametersTest {
    private final MailFlowEvents events = new MailFlowEvents();
    private final Transactions transactions = new Transactions(new NoPolicy(), Clock.systemUTC(), Duration.ZERO);

    private static final class NoPolicy implements PolicyRepository {
        @Override
        public MailFlowPolicy current() {
            return MailFlowPolicy.empty("test", java.time.Instant.EPOCH);
        }

        @Override
        public List<PolicyProblem> pendingProblems() {
            return List.of();
        }

        @Override
        public Subscription subscribe(java.util.function.Consumer<MailFlowPolicy> listener) {
            return () -> {};
        }
    }

    private static BaseHierarchicalConfiguration configuration(String name, String value) {
        BaseHierarchicalConfiguration configuration = new BaseHierarchicalConfiguration();
        configuration.addProperty(name, value);
        return configuration;
    }

    @ParameterizedTest
    @CsvSource({
        "connections, many, a whole number above 0",
        "messagesPerMinute, 0, a whole number above 0",
        "recipientsPerMinute, -1, a whole number above 0",
        "exemptOrganizations, yes, true or false"
    })
    void limitsShouldExplainAMistake(String name, String value, String expected) {
        assertThatThrownBy(() -> new LimitsHook(transactions, events).init(configuration(name, value)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("<" + name + ">")
                .hasMessageContaining(LimitsHook.class.getName())
                .hasMessageContaining("found '" + value + "'")
                .hasMessageContaining(expected);
    }

    @Test
    void limitsShouldWantANameOfAConnector() {
        assertThatThrownBy(() ->
                        new LimitsHook(transactions, events).init(configuration("connector.messagesPerMinute", "5")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("name=");
    }

    @Test
    void limitsShouldWantANameThatThePolicyHas() {
        assertThatThrownBy(() -> new LimitsHook(transactions, events).init(configuration("connector[@name]", "typo")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("found 'typo', expected the name of an inbound connector of the policy");
    }

    static Stream<Arguments> handlers() {
        NoPolicy policy = new NoPolicy();
        Transactions transactions = new Transactions(policy, Clock.systemUTC(), Duration.ZERO);
        MailFlowEvents events = new MailFlowEvents();
        return Stream.of(
                Arguments.of(new LimitsHook(transactions, events), "messagePerMinute", "<messagesPerMinute>"),
                Arguments.of(new ConnectionFilterHook(transactions, events), "proxy", "<proxies>"),
                Arguments.of(new HopLimitHook(transactions, events), "receivedheaders", "<receivedHeaders>"));
    }

    @ParameterizedTest
    @MethodSource("handlers")
    void parameterNobodyKnowsShouldBeAMistake(ProtocolHandler handler, String name, String right) {
        BaseHierarchicalConfiguration configuration = configuration(name, "5");
        configuration.addProperty("[@class]", handler.getClass().getName());

        assertThatThrownBy(() -> handler.init(configuration))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(handler.getClass().getName())
                .hasMessageContaining("found parameter <" + name + ">")
                .hasMessageContaining(right);
    }

    @Test
    void connectionFilterShouldExplainAWrongProxy() {
        assertThatThrownBy(() -> new ConnectionFilterHook(transactions, events)
                        .init(configuration("proxies", "192.0.2.1, nonsense")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("<proxies>")
                .hasMessageContaining("nonsense");
    }

    @Test
    void hopLimitShouldExplainAMistake() {
        assertThatThrownBy(() -> new HopLimitHook(transactions, events).init(configuration("receivedHeaders", "x")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("<receivedHeaders>");
    }
}
