/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.database;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Derby's own log, which would otherwise be a file in whatever directory the process was started from. */
public final class DerbyLog extends OutputStream {
    private static final Logger LOGGER = LoggerFactory.getLogger("org.apache.derby");

    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    private DerbyLog() {}

    /** Named to Derby by {@code derby.stream.error.method}, which wants a public static method. */
    public static OutputStream stream() {
        return new DerbyLog();
    }

    static void install() {
        if (System.getProperty("derby.stream.error.file") == null) {
            System.setProperty("derby.stream.error.method", DerbyLog.class.getName() + ".stream");
        }
    }

    @Override
    public synchronized void write(int octet) {
        if (octet != '\n') {
            line.write(octet);
            return;
        }
        LOGGER.debug("{}", line.toString(StandardCharsets.UTF_8).stripTrailing());
        line.reset();
    }
}
