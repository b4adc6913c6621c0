/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.event;

import java.util.Map;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One line per event on the logger {@code mailflow.event}: {@code event=delivered mail=… connector=… reply="250 ok"}.
 * Values with spaces, quotes or control characters are quoted and escaped, so that nothing a stranger puts into an
 * address or a reply can forge a line or a field. Deferred, failed and not rewritten are WARN, the
 * rest is INFO.
 */
final class EventLog implements MailFlowEvents.Sink {
    private static final Logger LOGGER = LoggerFactory.getLogger("mailflow.event");
    private static final int LONGEST_VALUE = 2_000;

    @Override
    public void accept(MailFlowEvent event) {
        if (event instanceof MailFlowEvent.Deferred
                || event instanceof MailFlowEvent.Failed
                || event instanceof MailFlowEvent.NotRewritten
                || event instanceof MailFlowEvent.RuleFailed
                || event instanceof MailFlowEvent.RulesDeferred) {
            LOGGER.warn("{}", line(event.fields()));
        } else if (LOGGER.isInfoEnabled()) {
            LOGGER.info("{}", line(event.fields()));
        }
    }

    static String line(Map<String, Object> fields) {
        StringBuilder line = new StringBuilder(200);
        fields.forEach((name, value) -> {
            if (!line.isEmpty()) {
                line.append(' ');
            }
            line.append(name).append('=');
            append(line, String.valueOf(value));
        });
        return line.toString();
    }

    private static void append(StringBuilder line, String whole) {
        String value = whole.length() > LONGEST_VALUE ? whole.substring(0, LONGEST_VALUE) + "…" : whole;
        if (!value.isEmpty() && value.chars().allMatch(EventLog::isPlain)) {
            line.append(value);
            return;
        }
        line.append('"');
        value.chars().forEach(c -> {
            switch (c) {
                case '"', '\\' -> line.append('\\').append((char) c);
                case '\n' -> line.append("\\n");
                case '\r' -> line.append("\\r");
                case '\t' -> line.append("\\t");
                default -> {
                    if (Character.isISOControl(c) || c == 0x2028 || c == 0x2029) {
                        line.append(String.format("\\u%04x", c));
                    } else {
                        line.append((char) c);
                    }
                }
            }
        });
        line.append('"');
    }

    private static boolean isPlain(int c) {
        return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
    }
}
