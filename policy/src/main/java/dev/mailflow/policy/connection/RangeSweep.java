/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connection;

import java.util.Arrays;

/**
 * Cuts overlapping ranges of one family into disjoint segments, each owned by the range that wins there: the highest
 * rank, then the narrowest, then the first added. A line sweep over the starts in ascending order, with a heap of the
 * ranges that may cover the sweep's position, best on top; a range that has ended is thrown out when it comes to the
 * top. O(n log n) time; at most 2n + 1 segments.
 */
final class RangeSweep {
    static final int NOBODY = -1;

    private final RangeColumns.Family ranges;
    private final long[] ranks;
    private final int[] heap;
    private int heapSize;

    /** Start of each segment; the first starts at 0, each ends where the next starts. */
    private long[] startsHigh;

    private long[] startsLow;
    private int[] owners;
    private int segments;

    /** @param ranks by index of range, higher wins; empty when all are equal */
    RangeSweep(RangeColumns.Family ranges, long[] ranks) {
        this.ranges = ranges;
        this.ranks = ranks;
        this.heap = new int[ranges.count()];
        int most = 2 * ranges.count() + 1;
        this.startsHigh = new long[most];
        this.startsLow = new long[most];
        this.owners = new int[most];
        sweep(sortedByStart());
    }

    int segments() {
        return segments;
    }

    long startHigh(int segment) {
        return startsHigh[segment];
    }

    long startLow(int segment) {
        return startsLow[segment];
    }

    /** Index of the winning range, or {@link #NOBODY}. */
    int owner(int segment) {
        return owners[segment];
    }

    private void sweep(int[] order) {
        int next = 0;
        long high = 0;
        long low = 0;
        emit(0, 0, NOBODY);
        while (true) {
            if (heapSize == 0) {
                if (next == order.length) {
                    return;
                }
                high = ranges.firstHigh(order[next]);
                low = ranges.firstLow(order[next]);
            }
            while (next < order.length
                    && compare(ranges.firstHigh(order[next]), ranges.firstLow(order[next]), high, low) <= 0) {
                push(order[next++]);
            }
            while (heapSize > 0 && compare(ranges.lastHigh(heap[0]), ranges.lastLow(heap[0]), high, low) < 0) {
                pop();
            }
            if (heapSize == 0) {
                emit(high, low, NOBODY);
                continue;
            }
            int winner = heap[0];
            emit(high, low, ranges.index(winner));
            long lastHigh = ranges.lastHigh(winner);
            long lastLow = ranges.lastLow(winner);
            boolean anotherStartsWithin = next < order.length
                    && compare(ranges.firstHigh(order[next]), ranges.firstLow(order[next]), lastHigh, lastLow) <= 0;
            if (anotherStartsWithin) {
                high = ranges.firstHigh(order[next]);
                low = ranges.firstLow(order[next]);
            } else if (lastHigh == -1 && lastLow == -1) {
                return;
            } else {
                low = lastLow + 1;
                high = low == 0 ? lastHigh + 1 : lastHigh;
            }
        }
    }

    private void emit(long high, long low, int owner) {
        if (segments > 0) {
            if (owners[segments - 1] == owner) {
                return;
            }
            if (startsHigh[segments - 1] == high && startsLow[segments - 1] == low) {
                owners[segments - 1] = owner;
                return;
            }
        }
        startsHigh[segments] = high;
        startsLow[segments] = low;
        owners[segments++] = owner;
    }

    private static int compare(long highA, long lowA, long highB, long lowB) {
        return highA != highB ? Long.compareUnsigned(highA, highB) : Long.compareUnsigned(lowA, lowB);
    }

    private boolean beats(int a, int b) {
        if (ranks.length > 0) {
            long rankA = ranks[ranges.index(a)];
            long rankB = ranks[ranges.index(b)];
            if (rankA != rankB) {
                return rankA > rankB;
            }
        }
        int byWidth = compare(widthHigh(a), widthLow(a), widthHigh(b), widthLow(b));
        return byWidth != 0 ? byWidth < 0 : ranges.index(a) < ranges.index(b);
    }

    private long widthLow(int at) {
        return ranges.lastLow(at) - ranges.firstLow(at);
    }

    private long widthHigh(int at) {
        long borrow = Long.compareUnsigned(ranges.lastLow(at), ranges.firstLow(at)) < 0 ? 1 : 0;
        return ranges.lastHigh(at) - ranges.firstHigh(at) - borrow;
    }

    private void push(int range) {
        int at = heapSize++;
        while (at > 0) {
            int parent = (at - 1) >>> 1;
            if (!beats(range, heap[parent])) {
                break;
            }
            heap[at] = heap[parent];
            at = parent;
        }
        heap[at] = range;
    }

    private void pop() {
        int range = heap[--heapSize];
        int at = 0;
        while (2 * at + 1 < heapSize) {
            int child = 2 * at + 1;
            if (child + 1 < heapSize && beats(heap[child + 1], heap[child])) {
                child++;
            }
            if (!beats(heap[child], range)) {
                break;
            }
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = range;
    }

    /** Merge sort of positions, bottom up; runs already in order, as in sorted list files, are not touched. */
    private int[] sortedByStart() {
        int count = ranges.count();
        int[] from = new int[count];
        Arrays.setAll(from, i -> i);
        int[] to = new int[count];
        for (int run = 1; run < count; run *= 2) {
            for (int left = 0; left < count; left += 2 * run) {
                merge(from, to, left, Math.min(left + run, count), Math.min(left + 2 * run, count));
            }
            int[] sorted = to;
            to = from;
            from = sorted;
        }
        return from;
    }

    private void merge(int[] from, int[] to, int left, int middle, int right) {
        if (middle == right || !startsAfter(from[middle - 1], from[middle])) {
            System.arraycopy(from, left, to, left, right - left);
            return;
        }
        int a = left;
        int b = middle;
        for (int at = left; at < right; at++) {
            boolean takeLeft = b == right || (a < middle && !startsAfter(from[a], from[b]));
            to[at] = takeLeft ? from[a++] : from[b++];
        }
    }

    private boolean startsAfter(int a, int b) {
        return compare(ranges.firstHigh(a), ranges.firstLow(a), ranges.firstHigh(b), ranges.firstLow(b)) > 0;
    }
}
