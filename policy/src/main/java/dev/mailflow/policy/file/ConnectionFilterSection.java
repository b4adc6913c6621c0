/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import dev.mailflow.policy.connection.ConnectionFilter;
import dev.mailflow.policy.connection.ConnectionFilter.Action;
import dev.mailflow.policy.connection.ConnectionFilter.Entry;
import dev.mailflow.policy.connection.IpRange;

/** {@code <connectionFilter>} and its list files. */
final class ConnectionFilterSection {
    private final ConfigurationFiles files;
    private final Problems problems;
    private final ConnectionFilter.Builder filter = ConnectionFilter.builder();

    ConnectionFilterSection(Reading reading) {
        this.files = reading.files();
        this.problems = reading.problems();
    }

    ConnectionFilter map(Node<Void> section) {
        Stream.concat(
                        section.all(Grammar.ALLOW).stream().flatMap(node -> entry(node, Action.ALLOW).stream()),
                        section.all(Grammar.BLOCK).stream().flatMap(node -> entry(node, Action.BLOCK).stream()))
                .sorted(Comparator.comparingInt(entry -> entry.location().line()))
                .forEach(filter::addEntry);
        section.all(Grammar.ALLOW_FILE).forEach(node -> list(node, Action.ALLOW));
        section.all(Grammar.BLOCK_FILE).forEach(node -> list(node, Action.BLOCK));
        return filter.build();
    }

    private Optional<Entry> entry(Node<IpRange> node, Action action) {
        List<IpRange> except = node.get(Grammar.EXCEPT).orElse(List.of());
        node.said().filter(range -> !except.isEmpty()).ifPresent(range -> checkExceptions(node, range, except));
        return node.said()
                .map(range -> new Entry(
                        action,
                        range,
                        except,
                        node.get(Grammar.ENTRY_SENDER_DOMAIN),
                        node.get(Grammar.EXPIRES),
                        node.get(Grammar.COMMENT).filter(comment -> !comment.isBlank()),
                        node.enabled(),
                        node.location()));
    }

    private void checkExceptions(Node<IpRange> node, IpRange range, List<IpRange> except) {
        String where = "attribute except of <" + node.rule().name() + ">: found " + node.shown(Grammar.EXCEPT);
        if (range.without(except).isEmpty()) {
            problems.warning(
                    node.at(Grammar.EXCEPT),
                    where + ", which leaves nothing of " + node.shownText() + "; expected a part of it");
        } else if (except.stream().anyMatch(hole -> range.without(List.of(hole)).equals(List.of(range)))) {
            problems.warning(
                    node.at(Grammar.EXCEPT),
                    where + ", part of which is not in " + node.shownText() + " at all; expected parts of it");
        }
    }

    private void list(Node<FileUrl> node, Action action) {
        if (!node.enabled()) {
            return;
        }
        node.said().map(files::locate).ifPresent(file -> list(node, action, file));
    }

    private void list(Node<FileUrl> node, Action action, Path file) {
        try {
            filter.addList(action, new AddressListFile(files.nameOf(file), problems).read(files.read(file)));
        } catch (IOException e) {
            problems.error(
                    node.atText(),
                    "<" + node.rule().name() + ">: found " + node.shownText() + ", but " + e.getMessage()
                            + "; expected a text file with one address range per line");
        }
    }
}
