/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.syntax;

/**
 * A place in a script.
 *
 * @param line 1-based
 * @param column 1-based, in characters; a tab is one
 */
public record Position(int line, int column) {}
