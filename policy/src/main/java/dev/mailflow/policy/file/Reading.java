/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

/**
 * What the sections of one reading share.
 *
 * @param files every file read
 * @param problems everything found wrong so far
 */
record Reading(ConfigurationFiles files, Problems problems) {

    CertificateFiles certificates() {
        return new CertificateFiles(files, problems);
    }
}
