/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli.xml;

/** A file that cannot be edited because it cannot be read; the message says where and why. */
public final class XmlSyntaxException extends Exception {
    private static final long serialVersionUID = 1L;

    XmlSyntaxException(String message) {
        super(message);
    }
}
