/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;

import dev.mailflow.delivery.queue.WorkerThreads;
import io.netty.util.concurrent.AbstractEventExecutor;
import io.netty.util.concurrent.DefaultPromise;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.GlobalEventExecutor;
import io.netty.util.concurrent.Promise;

/**
 * Threads for SMTP dialogues that may block, as Netty wants them: tasks in no order, on whichever thread is free. It has
 * no timer, which nothing in an SMTP dialogue needs and which would cost each command a lock and a heap.
 */
final class DialogueThreads extends AbstractEventExecutor {
    private final ForkJoinPool pool;
    private final Promise<Void> terminated = new DefaultPromise<>(GlobalEventExecutor.INSTANCE);

    /** @param atOnce how many dialogues may block at the same time */
    DialogueThreads(String name, int atOnce) {
        this.pool = WorkerThreads.of(name, atOnce);
    }

    @Override
    public void execute(Runnable task) {
        pool.execute(task);
    }

    /** Never: who is asked about runs under an executor for one connection, which knows. */
    @Override
    public boolean inEventLoop(Thread thread) {
        return false;
    }

    @Override
    public boolean isShuttingDown() {
        return pool.isShutdown();
    }

    @Override
    public Future<?> shutdownGracefully(long quietPeriod, long timeout, TimeUnit unit) {
        pool.shutdown();
        GlobalEventExecutor.INSTANCE.execute(() -> {
            try {
                if (!pool.awaitTermination(timeout, unit)) {
                    pool.shutdownNow();
                }
                terminated.trySuccess(null);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                terminated.tryFailure(e);
            }
        });
        return terminated;
    }

    @Override
    public Future<?> terminationFuture() {
        return terminated;
    }

    @Override
    @Deprecated
    public void shutdown() {
        pool.shutdown();
    }

    @Override
    public boolean isShutdown() {
        return pool.isShutdown();
    }

    @Override
    public boolean isTerminated() {
        return pool.isTerminated();
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) throws InterruptedException {
        return pool.awaitTermination(timeout, unit);
    }
}
