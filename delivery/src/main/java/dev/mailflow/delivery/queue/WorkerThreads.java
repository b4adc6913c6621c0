/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.queue;

import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Threads for work that may block. A task goes to the thread that became idle last, which is warm and often not asleep yet:
 * under load a task then costs no wake-up of a thread, which is dear on a virtual machine.
 */
public final class WorkerThreads {
    private static final Logger LOGGER = LoggerFactory.getLogger(WorkerThreads.class);
    private static final long IDLE_SECONDS = 60;

    private WorkerThreads() {}

    /**
     * Daemon threads, made as they are needed. Who waits in one of them should not wait for a {@code CompletableFuture}: the
     * pool would have another thread take its place.
     *
     * @param name of the threads, which are numbered
     * @param most threads at once
     */
    public static ForkJoinPool of(String name, int most) {
        ClassLoader context = Thread.currentThread().getContextClassLoader();
        AtomicInteger count = new AtomicInteger();
        return new ForkJoinPool(
                most,
                pool -> {
                    ForkJoinWorkerThread thread = ForkJoinPool.defaultForkJoinWorkerThreadFactory.newThread(pool);
                    thread.setName(name + "-" + count.incrementAndGet());
                    thread.setContextClassLoader(context);
                    return thread;
                },
                (thread, failure) -> LOGGER.error("thread={} a task failed", thread.getName(), failure),
                true,
                0,
                most,
                1,
                null,
                IDLE_SECONDS,
                TimeUnit.SECONDS);
    }
}
