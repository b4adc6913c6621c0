/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

/**
 * Why the queues take no mail now.
 *
 * @param kind what it means for those who send
 * @param reason one sentence for an administrator
 */
public record QueueTrouble(Kind kind, String reason) {
    public enum Kind {
        /** There is too little room; it may be over at any time. */
        NO_ROOM,
        /** The disk failed; whether the gateway must be started again the reason says. */
        FAILED
    }
}
