/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import static dev.mailflow.benchmarks.RelaySystem.GATEWAY;
import static dev.mailflow.benchmarks.RelaySystem.JAMES;
import static dev.mailflow.benchmarks.RelaySystem.POSTFIX_REUSE;
import static dev.mailflow.benchmarks.Transport.PLAIN;
import static dev.mailflow.benchmarks.Transport.STARTTLS;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.junit.jupiter.api.Test;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.benchmarks.Throughput.Ratio;

class ThroughputTest {

    private static Throughput measured() {
        Throughput throughput = new Throughput(List.of(GATEWAY, JAMES, POSTFIX_REUSE));
        List.of(90.0, 400.0, 300.0).forEach(rate -> throughput.add(GATEWAY, PLAIN, rate));
        List.of(450.0, 500.0).forEach(rate -> throughput.add(GATEWAY, STARTTLS, rate));
        List.of(200.0, 100.0, 250.0).forEach(rate -> throughput.add(JAMES, PLAIN, rate));
        List.of(95.0).forEach(rate -> throughput.add(JAMES, STARTTLS, rate));
        List.of(380.0).forEach(rate -> throughput.add(POSTFIX_REUSE, STARTTLS, rate));
        return throughput;
    }

    @Test
    void medianShouldBeTheMiddleOrBetweenTheTwoInTheMiddle() {
        assertThat(Throughput.median(List.of(9.0, 1.0, 2.0))).hasValue(2.0);
        assertThat(Throughput.median(List.of(9.0, 1.0, 2.0, 4.0))).hasValue(3.0);
        assertThat(Throughput.median(List.of())).isEmpty();
    }

    @Test
    void ratiosShouldBeOfMediansAndOnlyOfWhatWasMeasured() {
        assertThat(measured().ratios())
                .containsExactly(
                        new Ratio(GATEWAY, JAMES, PLAIN, 1.5),
                        new Ratio(GATEWAY, JAMES, STARTTLS, 5.0),
                        new Ratio(GATEWAY, POSTFIX_REUSE, STARTTLS, 1.25));
    }

    @Test
    void textShouldShowRatesAndRatios() {
        assertThat(measured().toText().lines().map(line -> line.strip().replaceAll(" +", " ")))
                .containsExactly(
                        "messages/s median lowest highest",
                        "gateway plain 300 90 400",
                        "gateway starttls 475 450 500",
                        "james plain 200 100 250",
                        "james starttls 95 95 95",
                        "postfix-reuse starttls 380 380 380",
                        "",
                        "ratios of medians",
                        "gateway / james plain 1.50",
                        "gateway / james starttls 5.00",
                        "gateway / postfix-reuse starttls 1.25");
    }

    @Test
    void jsonShouldHoldEveryRound() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        measured().writeTo(json);

        assertThat(json.at("/rates/0").toString())
                .isEqualTo(
                        "{\"system\":\"gateway\",\"transport\":\"plain\",\"median\":300.0,\"rounds\":[90.0,400.0,300.0]}");
        assertThat(json.at("/ratios/1").toString())
                .isEqualTo("{\"of\":\"gateway\",\"to\":\"james\",\"transport\":\"starttls\",\"ratio\":5.0}");
    }
}
