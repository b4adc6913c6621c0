/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.rule.RuleScriptException;

/** A string of a script; its variables are filled in when it is used (RFC 5229 section 3). Immutable. */
final class Text {
    private final List<Piece> pieces;
    private final Optional<String> constant;
    private final SourceLocation location;

    /** What a string is made of. */
    sealed interface Piece {
        String in(Execution run);
    }

    record Literal(String text) implements Piece {
        @Override
        public String in(Execution run) {
            return text;
        }
    }

    record Variable(int slot) implements Piece {
        @Override
        public String in(Execution run) {
            return run.variable(slot);
        }
    }

    record Captured(int index) implements Piece {
        @Override
        public String in(Execution run) {
            return run.captured(index);
        }
    }

    Text(List<Piece> pieces, SourceLocation location) {
        this.pieces = List.copyOf(pieces);
        this.location = location;
        this.constant = pieces.isEmpty()
                ? Optional.of("")
                : pieces.size() == 1 && pieces.get(0) instanceof Literal literal
                        ? Optional.of(literal.text())
                        : Optional.empty();
    }

    static Text of(String constant, SourceLocation location) {
        return new Text(List.of(new Literal(constant)), location);
    }

    SourceLocation location() {
        return location;
    }

    /** Empty when it has variables. */
    Optional<String> constant() {
        return constant;
    }

    String in(Execution run) throws RuleScriptException {
        if (constant.isPresent()) {
            return constant.get();
        }
        StringBuilder text = new StringBuilder();
        for (Piece piece : pieces) {
            text.append(piece.in(run));
            if (text.length() > Execution.MAX_STRING) {
                throw new RuleScriptException(
                        location, "a string grew to more than " + Execution.MAX_STRING + " characters");
            }
        }
        return text.toString();
    }

    static List<String> in(List<Text> texts, Execution run) throws RuleScriptException {
        List<String> all = new ArrayList<>(texts.size());
        long length = 0;
        for (Text text : texts) {
            String one = text.in(run);
            length += one.length();
            if (length > Execution.MAX_STRING && text.constant.isEmpty()) {
                throw new RuleScriptException(
                        text.location, "a list grew to more than " + Execution.MAX_STRING + " characters");
            }
            all.add(one);
        }
        return all;
    }
}
