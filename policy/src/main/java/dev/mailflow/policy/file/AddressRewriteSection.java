/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.rewrite.AddressRewriteEntry;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.RewriteSide;

/** {@code <addressRewrite>} and its CSV files; entries of this file come first, then each file's. */
final class AddressRewriteSection {
    private final ConfigurationFiles files;
    private final Problems problems;
    private final AddressRewriteTable.Builder table = AddressRewriteTable.builder();

    AddressRewriteSection(Reading reading) {
        this.files = reading.files();
        this.problems = reading.problems();
    }

    AddressRewriteTable map(Node<Void> section) {
        section.all(Grammar.REWRITE_ENTRY)
                .forEach(node -> entry(node).filter(unused -> node.enabled()).ifPresent(table::add));
        section.all(Grammar.ENTRIES_FILE).stream().filter(Node::enabled).forEach(this::list);
        return table.build();
    }

    private Optional<AddressRewriteEntry> entry(Node<Void> node) {
        Optional<RewriteSide> internal = node.get(Grammar.INTERNAL);
        Optional<RewriteSide> external = node.get(Grammar.EXTERNAL);
        if (internal.isEmpty() || external.isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(new AddressRewriteEntry(
                    internal.get(),
                    external.get(),
                    node.get(Grammar.OUTBOUND_ONLY).orElse(internal.get().kind() == RewriteSide.Kind.SUBDOMAINS),
                    node.get(Grammar.EXCEPTIONS).orElse(List.of()),
                    node.location()));
        } catch (IllegalArgumentException e) {
            // values may have come from a reference and must not be repeated then
            problems.error(
                    node.location(),
                    "<entry>: "
                            + e.getMessage()
                                    .replace("'" + internal.get() + "'", node.shown(Grammar.INTERNAL))
                                    .replace("'" + external.get() + "'", node.shown(Grammar.EXTERNAL)));
            return Optional.empty();
        }
    }

    private void list(Node<FileUrl> node) {
        node.said().map(files::locate).ifPresent(file -> list(node, file));
    }

    private void list(Node<FileUrl> node, Path file) {
        try {
            new RewriteEntriesFile(files.nameOf(file), problems).read(files.read(file), table);
        } catch (IOException e) {
            problems.error(
                    node.atText(),
                    "<" + node.rule().name() + ">: found " + node.shownText() + ", but " + e.getMessage()
                            + "; expected a CSV file with the columns " + RewriteEntriesFile.COLUMNS);
        }
    }
}
