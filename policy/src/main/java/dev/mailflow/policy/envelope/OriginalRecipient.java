/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.envelope;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * ORCPT of RFC 3461: the recipient as the sender wrote it, which travels unchanged.
 *
 * @param type address type, e.g. {@code rfc822}; lower case
 * @param address xtext
 */
public record OriginalRecipient(String type, String address) {
    /**
     * Attribute of a mail: the values whose address James cannot hold as a mail address, as received, by the {@link
     * #placeholder} that it holds instead. So they go wherever James takes what it knows of a recipient, such as to
     * whom an alias leads.
     */
    public static final String ATTRIBUTE = "mailflow.originalRecipients";

    public static final String RFC822 = "rfc822";

    private static final int LONGEST = 500;
    private static final Pattern ATOM = Pattern.compile("[A-Za-z0-9!#$%&'*/?^_`{|}~.-]+");

    /**
     * A mail address that nobody has, in the place of an original recipient of another kind.
     *
     * @param number tells those of one mail apart
     */
    public static String placeholder(int number) {
        return "original-recipient-" + number + "@mailflow.invalid";
    }

    /** Empty: not what RFC 3461 section 4.2 prescribes. */
    public static Optional<OriginalRecipient> parse(String value) {
        int semicolon = value.indexOf(';');
        if (semicolon < 1 || semicolon == value.length() - 1 || value.length() > LONGEST) {
            return Optional.empty();
        }
        String type = value.substring(0, semicolon);
        String address = value.substring(semicolon + 1);
        return ATOM.matcher(type).matches() && Xtext.isValid(address)
                ? Optional.of(new OriginalRecipient(type.toLowerCase(Locale.ROOT), address))
                : Optional.empty();
    }

    /** For people and reports (RFC 3464 section 2.3.1): decoded. */
    public String decoded() {
        return type + ";" + Xtext.decode(address);
    }

    /** As on RCPT. */
    @Override
    public String toString() {
        return type + ";" + address;
    }
}
