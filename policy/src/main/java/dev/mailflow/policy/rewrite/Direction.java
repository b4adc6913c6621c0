/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

/** Which way mail is rewritten. */
public enum Direction {
    /** Leaving: internal addresses become external ones. */
    OUTBOUND("outbound"),
    /** Arriving: external addresses become internal ones. */
    INBOUND("inbound");

    private final String word;

    Direction(String word) {
        this.word = word;
    }

    /** The word configurations use. */
    @Override
    public String toString() {
        return word;
    }
}
