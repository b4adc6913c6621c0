/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Finds entries by the text of one side: an open-addressed hash table of entry numbers, at most half full. Only
 * administrators put something in, so that no stranger can make it slow.
 */
final class SideIndex {
    /** Repeats beyond these are not kept. */
    private static final int LISTED = 1000;

    private final EntryColumns entries;
    private final boolean internalSide;
    private int[] slots = new int[64];
    private int[] hashes = new int[64];
    private int size;
    private final List<Repeat> listed = new ArrayList<>();

    /**
     * Two entries that say the same side.
     *
     * @param first the one that is found
     */
    record Repeat(int first, int second) {}

    SideIndex(EntryColumns entries, boolean internalSide) {
        this.entries = entries;
        this.internalSide = internalSide;
    }

    /**
     * The first entry with a side is the one that is found.
     *
     * @param side the entry's text on this side
     */
    void add(int entry, String side) {
        String folded = LocalPart.fold(side);
        int hash = spread(folded);
        int slot = slot(folded, hash);
        if (slots[slot] != 0) {
            if (listed.size() < LISTED) {
                listed.add(new Repeat(slots[slot] - 1, entry));
            }
            return;
        }
        slots[slot] = entry + 1;
        hashes[slot] = hash;
        size++;
        if (size > slots.length / 2) {
            grow();
        }
    }

    private void grow() {
        int[] oldSlots = slots;
        int[] oldHashes = hashes;
        slots = new int[oldSlots.length * 2];
        hashes = new int[slots.length];
        int mask = slots.length - 1;
        for (int i = 0; i < oldSlots.length; i++) {
            if (oldSlots[i] != 0) {
                int slot = oldHashes[i] & mask;
                while (slots[slot] != 0) {
                    slot = (slot + 1) & mask;
                }
                slots[slot] = oldSlots[i];
                hashes[slot] = oldHashes[i];
            }
        }
    }

    private int slot(String folded, int hash) {
        int mask = slots.length - 1;
        int slot = hash & mask;
        while (slots[slot] != 0 && !(hashes[slot] == hash && entries.matches(slots[slot] - 1, internalSide, folded))) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    private static int spread(String folded) {
        int hash = folded.hashCode() * 0x9E3779B9;
        return hash ^ (hash >>> 15);
    }

    /** @param folded see {@link LocalPart#fold} */
    OptionalInt find(String folded) {
        int entry = slots[slot(folded, spread(folded))];
        return entry == 0 ? OptionalInt.empty() : OptionalInt.of(entry - 1);
    }

    /** The first repeats found. */
    List<Repeat> repeats() {
        return List.copyOf(listed);
    }
}
