/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;

/** Inbound names are distinct, and so are outbound names; the two do not meet. */
final class ConnectorNames {
    private ConnectorNames() {}

    /** The connector's name; empty when it has none, or one that is taken, which is reported. */
    static Optional<String> take(Node<Void> connector, Map<String, SourceLocation> seen, Problems problems) {
        return connector.get(Grammar.NAME).filter(name -> {
            SourceLocation first = seen.putIfAbsent(name, connector.location());
            if (first != null) {
                problems.error(
                        connector.at(Grammar.NAME),
                        "attribute name of <" + connector.rule().name() + ">: found " + connector.shown(Grammar.NAME)
                                + " a second time, expected a name of its own; the first is on line " + first.line());
            }
            return first == null;
        });
    }
}
