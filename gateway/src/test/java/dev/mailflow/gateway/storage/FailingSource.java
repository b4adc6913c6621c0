/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.storage;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;

import org.apache.james.server.core.MimeMessageSource;

/** A message whose bytes end in an error half way. */
record FailingSource(String reason) implements MimeMessageSource {
    @Override
    public String getSourceId() {
        return reason;
    }

    @Override
    public InputStream getInputStream() {
        String beginning = "Subject: half\r\n\r\n" + "x".repeat(100_000);
        return new SequenceInputStream(
                new ByteArrayInputStream(beginning.getBytes(StandardCharsets.US_ASCII)), new InputStream() {
                    @Override
                    public int read() throws IOException {
                        throw new IOException(reason);
                    }

                    @Override
                    public int read(byte[] bytes, int offset, int length) throws IOException {
                        throw new IOException(reason);
                    }
                });
    }

    @Override
    public long getMessageSize() {
        return 200_000;
    }
}
