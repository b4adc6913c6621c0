/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import org.apache.jsieve.ConfigurationManager;
import org.apache.jsieve.SieveContext;
import org.apache.jsieve.SieveFactory;
import org.apache.jsieve.mail.Action;
import org.apache.jsieve.mail.ActionKeep;
import org.apache.jsieve.mail.ActionRedirect;
import org.apache.jsieve.mail.AddressImpl;
import org.apache.jsieve.mail.MailAdapter;
import org.apache.jsieve.mail.optional.EnvelopeAccessors;

import dev.mailflow.policy.rewrite.AddressList;
import dev.mailflow.policy.rewrite.LocalPart;
import dev.mailflow.policy.rule.RuleAction;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/**
 * What both can do, the evaluator of Apache jSieve does as we do. Left out is where it differs from RFC 5228: addresses in
 * fields that are no lists of addresses, text beyond ASCII, and texts that are no number for the numeric comparator, which are
 * all equal (RFC 4790 section 9.1.1), and a field that is not there, which jSieve takes to contain the empty string.
 */
class JSieveAgreementProperties {
    private static final Map<String, List<String>> HEADERS = Map.of(
            "From", List.of("joe@contoso.com"),
            "To", List.of("Ann <ann@fabrikam.com>, bob@fabrikam.com", "\"x y\"@quoted.example"),
            "Cc", List.of("group: c@c.example, d@d.example;"),
            "Subject", List.of("Hello World", "[ext] 10 things (a*b?)"),
            "X-Empty", List.of(""),
            "X-Number", List.of("10", "007", "none"));

    private static final SieveFactory JSIEVE = build();

    private static SieveFactory build() {
        try {
            return new ConfigurationManager().build();
        } catch (org.apache.jsieve.SieveConfigurationException e) {
            throw new IllegalStateException(e);
        }
    }

    @Property(tries = 1_000)
    void theEvaluatorsShouldAgree(@ForAll("tests") String test) throws Exception {
        String script = "require [\"envelope\", \"comparator-i;ascii-numeric\"];\r\nif " + test
                + " { redirect \"yes@contoso.com\"; } else { keep; }";
        boolean ours = Script.of(script).message(message()).run().actions().stream()
                .anyMatch(RuleAction.Redirect.class::isInstance);
        Adapter adapter = new Adapter(message().length());
        JSIEVE.interpret(adapter, new ByteArrayInputStream(script.getBytes(StandardCharsets.UTF_8)));
        boolean theirs = adapter.getActions().stream().anyMatch(ActionRedirect.class::isInstance);
        assertThat(adapter.getActions())
                .hasSize(1)
                .allMatch(action -> action instanceof ActionRedirect || action instanceof ActionKeep);
        assertThat(ours).as(test).isEqualTo(theirs);
    }

    private static String message() {
        StringBuilder message = new StringBuilder();
        HEADERS.forEach((name, values) -> values.forEach(
                value -> message.append(name).append(": ").append(value).append('\n')));
        return message.append("\nBody.\n").toString();
    }

    @Provide
    Arbitrary<String> tests() {
        return tests(3);
    }

    private static Arbitrary<String> tests(int depth) {
        if (depth == 0) {
            return single();
        }
        Arbitrary<String> inner = tests(depth - 1);
        Arbitrary<String> list = inner.list().ofMinSize(1).ofMaxSize(3).map(all -> "(" + String.join(", ", all) + ")");
        return Arbitraries.oneOf(
                single(),
                inner.map(test -> "not " + test),
                list.map(all -> "allof " + all),
                list.map(all -> "anyof " + all));
    }

    private static Arbitrary<String> single() {
        return Arbitraries.oneOf(
                header(), number(), address(), envelope(), exists(), size(), Arbitraries.of("true", "false"));
    }

    private static Arbitrary<String> header() {
        return Combinators.combine(match(), names("From", "To", "Subject", "X-Empty", "X-Number"), keys())
                .as((match, names, keys) -> "header " + match + " " + names + " " + keys);
    }

    private static Arbitrary<String> number() {
        return Combinators.combine(names("X-Number", "Subject"), Arbitraries.of("7", "10", "0010", "70"))
                .as((names, key) -> "header :is :comparator \"i;ascii-numeric\" " + names + " \"" + key + "\"");
    }

    private static Arbitrary<String> address() {
        return Combinators.combine(match(), part(), names("From", "To", "Cc", "Bcc"), keys())
                .as((match, part, names, keys) -> "address " + match + part + " " + names + " " + inCase(match, keys));
    }

    private static Arbitrary<String> envelope() {
        return Combinators.combine(match(), part(), names("from", "to"), keys())
                .as((match, part, names, keys) -> "envelope " + match + part + " " + names + " " + inCase(match, keys));
    }

    /** jSieve drops the case of addresses even where the comparator does not. */
    private static String inCase(String match, String keys) {
        return match.contains("i;octet") ? keys.toLowerCase(Locale.ROOT) : keys;
    }

    private static Arbitrary<String> exists() {
        return names("From", "Subject", "X-Empty", "X-None").map(names -> "exists " + names);
    }

    private static Arbitrary<String> size() {
        return Combinators.combine(Arbitraries.of(":over", ":under"), Arbitraries.of("0", "1", "200", "1K", "1M"))
                .as((tag, limit) -> "size " + tag + " " + limit);
    }

    private static Arbitrary<String> part() {
        return Arbitraries.of("", " :all", " :localpart", " :domain");
    }

    private static Arbitrary<String> match() {
        return Arbitraries.of(
                ":is",
                ":contains",
                ":matches",
                ":comparator \"i;octet\" :is",
                ":comparator \"i;octet\" :contains",
                ":comparator \"i;octet\" :matches",
                ":comparator \"i;ascii-casemap\" :is");
    }

    private static Arbitrary<String> names(String... names) {
        return Arbitraries.of(names).list().ofMinSize(1).ofMaxSize(2).map(JSieveAgreementProperties::list);
    }

    private static Arbitrary<String> keys() {
        return Arbitraries.of(
                        "",
                        "*",
                        "?",
                        "joe@contoso.com",
                        "JOE@contoso.com",
                        "joe",
                        "contoso.com",
                        "CONTOSO",
                        "ann",
                        "ann@*",
                        "*@fabrikam.com",
                        "b?b*",
                        "Hello World",
                        "hello*",
                        "*WORLD",
                        "H?llo *",
                        "[ext]*",
                        "*(a*",
                        "10",
                        "7",
                        "0010",
                        "c.example",
                        "*.example",
                        "x y",
                        "none",
                        "*e*l*",
                        "a\\\\*b",
                        "*\\\\?*",
                        "??????????",
                        "fabrikam")
                .list()
                .ofMinSize(1)
                .ofMaxSize(2)
                .map(JSieveAgreementProperties::list);
    }

    private static String list(List<String> items) {
        return items.size() == 1
                ? "\"" + items.get(0) + "\""
                : "["
                        + String.join(
                                ", ",
                                items.stream().map(item -> "\"" + item + "\"").toList()) + "]";
    }

    /** The message as jSieve asks for it. */
    private static final class Adapter implements MailAdapter, EnvelopeAccessors {
        private final int size;
        private final List<Action> actions = new ArrayList<>();

        Adapter(int lineFeeds) {
            // each line has one byte more than in the text
            this.size =
                    lineFeeds + (int) message().chars().filter(c -> c == '\n').count();
        }

        @Override
        public void setContext(SieveContext context) {
            // nothing to ask of it
        }

        @Override
        public List<Action> getActions() {
            return actions;
        }

        @Override
        public void addAction(Action action) {
            actions.add(action);
        }

        @Override
        public void executeActions() {
            // they are looked at
        }

        @Override
        public List<String> getHeader(String name) {
            return HEADERS.getOrDefault(name, List.of());
        }

        @Override
        public List<String> getMatchingHeader(String name) {
            return HEADERS.entrySet().stream()
                    .filter(entry -> entry.getKey().equalsIgnoreCase(name))
                    .flatMap(entry -> entry.getValue().stream())
                    .toList();
        }

        @Override
        public List<String> getHeaderNames() {
            return List.copyOf(HEADERS.keySet());
        }

        @Override
        public List<String> getEnvelope(String name) {
            return getMatchingEnvelope(name);
        }

        @Override
        public List<String> getEnvelopeNames() {
            return List.of("from", "to");
        }

        @Override
        public List<String> getMatchingEnvelope(String name) {
            return name.equalsIgnoreCase("from")
                    ? List.of("joe@contoso.com")
                    : name.equalsIgnoreCase("to") ? List.of("ann@fabrikam.com") : List.of();
        }

        @Override
        public int getSize() {
            return size;
        }

        @Override
        public String getContentType() {
            return "text/plain";
        }

        @Override
        public boolean isInBodyText(List<String> phrases) {
            return false;
        }

        @Override
        public boolean isInBodyRaw(List<String> phrases) {
            return false;
        }

        @Override
        public boolean isInBodyContent(List<String> types, List<String> phrases) {
            return false;
        }

        /** @param name of the header whose addresses are wanted */
        @Override
        public Address[] parseAddresses(String name) {
            List<Address> all = new ArrayList<>();
            for (String value : getMatchingHeader(name)) {
                if (AddressList.read(value, 0) instanceof AddressList.Addresses found) {
                    found.all()
                            .forEach(one -> all.add(new AddressImpl(LocalPart.content(one.localPart()), one.domain())));
                }
            }
            return all.toArray(Address[]::new);
        }
    }
}
