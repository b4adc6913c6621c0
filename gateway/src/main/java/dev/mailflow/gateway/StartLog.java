/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

import org.slf4j.ILoggerFactory;
import org.slf4j.LoggerFactory;
import org.slf4j.Marker;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.turbo.TurboFilter;
import ch.qos.logback.core.spi.FilterReply;

/**
 * Holds back the stack traces that James writes of a mailet or handler that cannot start, for an administrator is told in
 * one line what is wrong ({@link StartFailure}). They follow when the start is over: at their own level if it went well all
 * the same, else at DEBUG. Does nothing where another log than Logback is used.
 */
final class StartLog implements AutoCloseable {
    private static final String JAMES = "org.apache.james.";

    private final Optional<LoggerContext> logging;
    private final HeldBack heldBack = new HeldBack();
    private boolean started;

    private StartLog(ILoggerFactory factory) {
        logging = Optional.of(factory).filter(LoggerContext.class::isInstance).map(LoggerContext.class::cast);
        logging.ifPresent(context -> context.addTurboFilter(heldBack));
    }

    static StartLog holdBack() {
        return new StartLog(LoggerFactory.getILoggerFactory());
    }

    /** The start went well: what was held back is all there is to tell of it. */
    void started() {
        started = true;
    }

    @Override
    public void close() {
        logging.ifPresent(context -> context.getTurboFilterList().remove(heldBack));
        heldBack.lines.forEach(line -> line.write(started));
    }

    private record Line(Logger logger, Optional<Marker> marker, Level level, String format, List<Object> arguments) {

        void write(boolean atItsLevel) {
            int asked = Level.toLocationAwareLoggerInteger(atItsLevel ? level : Level.DEBUG);
            logger.log(marker.orElse(null), Line.class.getName(), asked, format, arguments.toArray(), null);
        }
    }

    private static final class HeldBack extends TurboFilter {
        private final List<Line> lines = new CopyOnWriteArrayList<>();

        @Override
        public FilterReply decide(
                Marker marker, Logger logger, Level level, String format, Object[] arguments, Throwable failure) {
            List<Object> all = Stream.concat(
                            arguments == null ? Stream.empty() : Arrays.stream(arguments),
                            Optional.ofNullable(failure).stream())
                    .toList();
            boolean trace = !all.isEmpty() && all.get(all.size() - 1) instanceof Throwable;
            if (!trace
                    || !level.isGreaterOrEqual(Level.WARN)
                    || !logger.getName().startsWith(JAMES)) {
                return FilterReply.NEUTRAL;
            }
            lines.add(new Line(logger, Optional.ofNullable(marker), level, format, all));
            return FilterReply.DENY;
        }
    }
}
