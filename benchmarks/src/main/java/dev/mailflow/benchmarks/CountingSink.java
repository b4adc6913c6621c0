/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Postfix's {@code smtp-sink}, which takes every message, throws it away and counts. */
final class CountingSink implements AutoCloseable {
    private static final String BACKLOG = "1000";

    private final Forked process;
    private final int port;
    private final SinkCounter counter = new SinkCounter();

    private CountingSink(Forked process, int port) {
        this.process = process;
        this.port = port;
    }

    static CountingSink start(Workbench workbench, Transport transport) {
        int port = LoopbackPorts.free();
        List<String> command = new ArrayList<>(List.of(DebianTool.SMTP_SINK.path(), "-c"));
        if (Superuser.isMe()) {
            // it refuses to run as root
            command.addAll(List.of("-u", "nobody"));
        }
        command.addAll(List.of("127.0.0.1:" + port, BACKLOG));
        Forked process = Forked.startPiped("smtp-sink-" + transport.label(), workbench.directory(), command);
        CountingSink sink = workbench.add(new CountingSink(process, port));
        sink.readCounter();
        process.awaitGreeting(port);
        return sink;
    }

    private void readCounter() {
        Thread reader = new Thread(
                () -> {
                    char[] buffer = new char[8192];
                    try (Reader output = new InputStreamReader(process.output(), StandardCharsets.US_ASCII)) {
                        for (int read = output.read(buffer); read >= 0; read = output.read(buffer)) {
                            counter.read(new String(buffer, 0, read));
                        }
                    } catch (IOException e) {
                        // its end of the pipe is gone, and with it the count
                        counter.end();
                    }
                    counter.end();
                },
                "smtp-sink counter");
        reader.setDaemon(true);
        reader.start();
    }

    int port() {
        return port;
    }

    SinkCounter counter() {
        return counter;
    }

    @Override
    public void close() {
        process.close();
    }
}
