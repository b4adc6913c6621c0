/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.cli;

import java.util.Optional;

import picocli.CommandLine.IVersionProvider;

/** The version the jar was built as. */
public final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
        return new String[] {
            "mailflow "
                    + Optional.ofNullable(Version.class.getPackage().getImplementationVersion())
                            .orElse("(development)")
        };
    }
}
