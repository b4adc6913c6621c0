/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

import dev.mailflow.rules.syntax.Argument;
import dev.mailflow.rules.syntax.Call;
import dev.mailflow.rules.syntax.Position;

/**
 * The arguments of one command or test, sorted into tags and positions (RFC 5228 section 2.6). Every mistake is told; what
 * is asked for and is not there comes back empty, so that the rest can be looked at too.
 */
final class Arguments {

    /** What follows a tag. */
    enum Follows {
        NOTHING,
        STRING,
        STRINGS,
        NUMBER
    }

    /**
     * A tag that a command knows.
     *
     * @param group only one of a group may be given
     */
    record Tag(String name, Follows follows, String group, Optional<Extension> extension) {
        static Tag flag(String name, String group) {
            return new Tag(name, Follows.NOTHING, group, Optional.empty());
        }

        Tag needs(Extension needed) {
            return new Tag(name, follows, group, Optional.of(needed));
        }

        Tag with(Follows what) {
            return new Tag(name, what, group, extension);
        }
    }

    private final Compilation compilation;
    private final Call call;
    private final Map<String, Optional<Argument>> tags = new HashMap<>();
    private final Map<String, Position> places = new HashMap<>();
    private final List<Argument> positional = new ArrayList<>();
    private int next;

    Arguments(Compilation compilation, Call call, Tag... known) {
        this(compilation, call, Arrays.asList(known));
    }

    Arguments(Compilation compilation, Call call, List<Tag> known) {
        this.compilation = compilation;
        this.call = call;
        sort(known);
    }

    private void sort(List<Tag> known) {
        List<Argument> all = call.arguments();
        Map<String, String> groups = new HashMap<>();
        for (int i = 0; i < all.size(); i++) {
            if (!(all.get(i) instanceof Argument.Tag given)) {
                positional.add(all.get(i));
                continue;
            }
            Optional<Tag> tag = known.stream()
                    .filter(one -> one.name().equals(given.name()))
                    .findFirst();
            if (tag.isEmpty()) {
                compilation.error(
                        given.at(), "'" + call.name() + "' has no tag '" + given.name() + "'" + expected(known));
                continue;
            }
            if (!positional.isEmpty()) {
                compilation.error(
                        given.at(), "found '" + given.name() + "' after other arguments, expected tags to come first");
            }
            tag.get().extension().ifPresent(needed -> compilation.needs(needed, given.at(), "'" + given.name() + "'"));
            String before = groups.put(tag.get().group(), given.name());
            if (before != null) {
                compilation.error(
                        given.at(),
                        before.equals(given.name())
                                ? "found '" + given.name() + "' twice"
                                : "found '" + given.name() + "' beside '" + before + "', expected one of them");
            }
            places.put(given.name(), given.at());
            Optional<Argument> value = Optional.empty();
            if (tag.get().follows() != Follows.NOTHING) {
                if (i + 1 < all.size() && fits(all.get(i + 1), tag.get().follows())) {
                    i++;
                    value = Optional.of(all.get(i));
                } else {
                    compilation.error(
                            given.at(), "expected " + describe(tag.get().follows()) + " after '" + given.name() + "'");
                    places.remove(given.name());
                    continue;
                }
            }
            tags.put(given.name(), value);
        }
    }

    private static String expected(List<Tag> known) {
        return known.isEmpty()
                ? ""
                : ", expected " + known.stream().map(Tag::name).collect(Collectors.joining(", "));
    }

    private static boolean fits(Argument argument, Follows follows) {
        return switch (follows) {
            case NUMBER -> argument instanceof Argument.Amount;
            case STRINGS -> argument instanceof Argument.Strings;
            case STRING -> argument instanceof Argument.Strings strings && !strings.bracketed();
            case NOTHING -> false;
        };
    }

    private static String describe(Follows follows) {
        return switch (follows) {
            case NUMBER -> "a number";
            case STRINGS -> "a string or a list of strings";
            case STRING -> "a string";
            case NOTHING -> "nothing";
        };
    }

    boolean has(String tag) {
        return tags.containsKey(tag);
    }

    /** Where the tag stands; the command's own place when it is not there. */
    Position at(String tag) {
        return places.getOrDefault(tag, call.at());
    }

    Position at() {
        return call.at();
    }

    Optional<Argument.Strings> tagStrings(String tag) {
        return tags.getOrDefault(tag, Optional.empty()).map(Argument.Strings.class::cast);
    }

    Optional<Argument.Item> tagString(String tag) {
        return tagStrings(tag).map(strings -> strings.items().get(0));
    }

    Optional<Argument.Amount> tagNumber(String tag) {
        return tags.getOrDefault(tag, Optional.empty()).map(Argument.Amount.class::cast);
    }

    /** How many arguments have no tag. */
    int count() {
        return positional.size();
    }

    boolean nextIsNumber() {
        return next < positional.size() && positional.get(next) instanceof Argument.Amount;
    }

    Optional<Argument.Strings> strings(String what) {
        return take(Follows.STRINGS, what).map(Argument.Strings.class::cast);
    }

    Optional<Argument.Item> string(String what) {
        return take(Follows.STRING, what)
                .map(argument -> ((Argument.Strings) argument).items().get(0));
    }

    Optional<Argument.Amount> number(String what) {
        return take(Follows.NUMBER, what).map(Argument.Amount.class::cast);
    }

    private Optional<Argument> take(Follows kind, String what) {
        if (next >= positional.size()) {
            compilation.error(call.at(), "'" + call.name() + "' expects " + describe(kind) + ": " + what);
            return Optional.empty();
        }
        Argument argument = positional.get(next);
        next++;
        if (!fits(argument, kind)) {
            compilation.error(argument.at(), "expected " + describe(kind) + ": " + what);
            return Optional.empty();
        }
        return Optional.of(argument);
    }

    /** Ends the reading of a command or test that takes no test and no block. */
    void end() {
        endOfArguments();
        noTests();
        call.block()
                .ifPresent(block -> compilation.error(call.at(), "'" + call.name() + "' takes no block, expected ';'"));
    }

    void noTests() {
        if (!call.tests().isEmpty()) {
            compilation.error(call.tests().get(0).at(), "'" + call.name() + "' takes no test");
        }
    }

    void endOfArguments() {
        if (next < positional.size()) {
            compilation.error(
                    positional.get(next).at(),
                    "'" + call.name() + "' takes no more arguments, found " + (positional.size() - next) + " more");
        }
    }
}
