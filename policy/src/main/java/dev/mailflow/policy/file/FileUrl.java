/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * A file as the policy names it.
 *
 * @param url {@code file://conf/…} for the configuration directory, or {@code file:///…} for an absolute path
 */
record FileUrl(String url) {
    static final String EXPECTED =
            "a file URL: file://conf/… (in the configuration directory) or file:///absolute/path";
    static final String CONF = "file://conf/";
    static final String ABSOLUTE = "file:///";

    /** @throws IllegalArgumentException when it is neither of the two forms */
    static FileUrl parse(String text) {
        FileUrl url = new FileUrl(text);
        if (url.path().isEmpty()) {
            throw new IllegalArgumentException();
        }
        try {
            if (Path.of(url.path()).getNameCount() == 0) {
                throw new IllegalArgumentException();
            }
        } catch (InvalidPathException e) {
            throw new IllegalArgumentException(e);
        }
        return url;
    }

    private String path() {
        if (url.startsWith(CONF)) {
            return url.substring(CONF.length());
        }
        return url.length() > ABSOLUTE.length() && url.startsWith(ABSOLUTE) ? url.substring(ABSOLUTE.length() - 1) : "";
    }

    /** Where the file is when {@code conf} is the configuration directory. */
    Path in(Path conf) {
        return (url.startsWith(CONF) ? conf.resolve(path()) : Path.of(path())).normalize();
    }
}
