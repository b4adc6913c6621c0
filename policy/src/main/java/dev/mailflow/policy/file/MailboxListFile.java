/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.file;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.hybrid.MailboxList;

/** Reads where mailboxes are as CSV: {@value #COLUMNS}, with location {@code local} or {@code cloud}. */
final class MailboxListFile {
    static final String COLUMNS = "address,location";

    private final String name;
    private final Problems problems;
    private final Map<MailAddress, MailboxList.Entry> entries = new HashMap<>();

    /** @param name the file as the administrator knows it */
    MailboxListFile(String name, Problems problems) {
        this.name = name;
        this.problems = problems;
    }

    /** The good records; the bad ones are reported. */
    MailboxList read(byte[] csv) {
        new CsvFile(name, problems).read(csv, "address", this::entry);
        return new MailboxList(name, entries);
    }

    private void entry(List<String> columns, int line) {
        if (columns.size() != 2) {
            throw new IllegalArgumentException("found " + columns.size()
                    + (columns.size() == 1 ? " column" : " columns") + " in " + Quoted.of(String.join(",", columns))
                    + ", expected " + COLUMNS);
        }
        MailboxList.Premises premises =
                switch (columns.get(1)) {
                    case "local" -> MailboxList.Premises.LOCAL;
                    case "cloud" -> MailboxList.Premises.CLOUD;
                    default -> throw new IllegalArgumentException(
                            "column location: found " + Quoted.of(columns.get(1)) + ", expected local or cloud");
                };
        MailboxList.Entry other = entries.putIfAbsent(address(columns.get(0)), new MailboxList.Entry(premises, line));
        if (other != null) {
            throw new IllegalArgumentException("found " + Quoted.of(columns.get(0))
                    + " a second time, expected each address once; the first is on line " + other.line());
        }
    }

    private static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (AddressException e) {
            throw new IllegalArgumentException(
                    "column address: found " + Quoted.of(text) + ", expected a mailbox ('joe@contoso.com')", e);
        }
    }
}
