/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What is measured. */
enum RelaySystem {
    /** Our gateway as {@code bin/gateway} starts it. */
    GATEWAY("gateway"),
    /** The memory app of James, two {@code RemoteDelivery} mailets. */
    JAMES("james"),
    /** Postfix as Debian ships it. */
    POSTFIX("postfix"),
    /** As {@link #POSTFIX}, with {@code smtp_tls_connection_reuse}, which changes nothing without TLS. */
    POSTFIX_REUSE("postfix-reuse");

    private final String label;

    RelaySystem(String label) {
        this.label = label;
    }

    /** The name on the command line and in reports. */
    String label() {
        return label;
    }

    /** In which ways it is measured. */
    Set<Transport> transports() {
        return switch (this) {
            case GATEWAY, JAMES, POSTFIX -> EnumSet.allOf(Transport.class);
            case POSTFIX_REUSE -> EnumSet.of(Transport.STARTTLS);
        };
    }

    /** Whether it becomes faster while it runs. */
    boolean isJava() {
        return this == GATEWAY || this == JAMES;
    }

    static Optional<RelaySystem> of(String label) {
        return Arrays.stream(values())
                .filter(system -> system.label.equals(label))
                .findFirst();
    }

    static List<String> labels() {
        return Arrays.stream(values()).map(RelaySystem::label).toList();
    }

    /** Starts it and returns when it greets. */
    Relay start(Workbench workbench, NextHops nextHops) {
        return switch (this) {
            case GATEWAY -> GatewayRelay.start(workbench, nextHops);
            case JAMES -> JamesRelay.start(workbench, nextHops);
            case POSTFIX, POSTFIX_REUSE -> PostfixRelay.start(workbench, nextHops, this);
        };
    }
}
