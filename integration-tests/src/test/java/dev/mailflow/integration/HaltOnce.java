/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;

import javax.mail.MessagingException;

import org.apache.mailet.Mail;
import org.apache.mailet.base.GenericMailet;

/** Ends the JVM as kill -9 would when the first mail comes by; the file of its parameter remembers that it did. */
public final class HaltOnce extends GenericMailet {
    @Override
    public void service(Mail mail) throws MessagingException {
        try {
            Files.createFile(Path.of(getInitParameter("done")));
        } catch (FileAlreadyExistsException e) {
            return;
        } catch (IOException e) {
            throw new MessagingException("cannot remember", e);
        }
        Runtime.getRuntime().halt(9);
    }
}
