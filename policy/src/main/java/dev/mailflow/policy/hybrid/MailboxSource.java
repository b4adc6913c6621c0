/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

/** Who knows where the mailboxes of the shared domains are; the settings of {@code <mailboxes>}. */
public sealed interface MailboxSource {

    /** The word the policy file uses. */
    String xmlName();

    /** James's own users, and its recipient mappings to the remote routing domain. */
    record James() implements MailboxSource {
        @Override
        public String xmlName() {
            return "james";
        }
    }

    /** A list in a file. */
    record ListFile(MailboxList list) implements MailboxSource {
        @Override
        public String xmlName() {
            return "file";
        }
    }

    /** A directory server, such as Active Directory. */
    record Ldap(LdapSettings settings) implements MailboxSource {
        @Override
        public String xmlName() {
            return "ldap";
        }
    }
}
