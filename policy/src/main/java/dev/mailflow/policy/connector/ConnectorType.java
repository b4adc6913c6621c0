/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.connector;

/** Whom a connector speaks to. */
public enum ConnectorType {
    /** Another part of our own organization: it may be granted rights. */
    ORGANIZATION("organization"),
    /** Another organization: mail with it is restricted. */
    PARTNER("partner"),
    /** Everybody else; outbound only. */
    INTERNET("internet");

    private final String xmlName;

    ConnectorType(String xmlName) {
        this.xmlName = xmlName;
    }

    @Override
    public String toString() {
        return xmlName;
    }
}
