/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.Serial;

/** Why nothing can be measured, in words for whoever runs the benchmark. */
final class BenchmarkFailure extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    BenchmarkFailure(String message) {
        super(message);
    }

    BenchmarkFailure(String message, Throwable cause) {
        super(message, cause);
    }
}
