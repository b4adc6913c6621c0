/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

import org.apache.james.core.MailAddress;
import org.apache.jsieve.ConfigurationManager;
import org.apache.jsieve.SieveContext;
import org.apache.jsieve.SieveFactory;
import org.apache.jsieve.mail.Action;
import org.apache.jsieve.mail.AddressImpl;
import org.apache.jsieve.mail.MailAdapter;
import org.apache.jsieve.parser.generated.Node;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rewrite.AddressList;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.policy.rule.RuleScriptException;

/**
 * Rules that a message meets and none of which it matches: two header tests and one address test each, a message of 5 KB.
 * A pass begins with the bytes of the header. Aims: 100 rules under 100 µs, 1,000 rules under 1 ms, a list of 100,000
 * domains a hash look-up (medians). Beside them the evaluator of Apache jSieve with its scripts parsed before, and with one
 * script parsed for the message.
 */
@State(Scope.Benchmark)
@Fork(
        value = 1,
        jvmArgs = {"-Xmx1g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"})
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 4, time = 1)
public class TransportRulesBenchmark {
    private static final int DOMAINS = 100_000;

    private static final RuleCompiler COMPILER = RuleCompiler.find().orElseThrow();
    private static final Instant NOW = Instant.parse("2026-11-24T12:00:00Z");

    private byte[] message;
    private List<MailAddress> recipients;
    private List<RuleScript> hundred;
    private List<RuleScript> thousand;
    private RuleScript domains;
    private RuleScript oneDomain;
    private RuleMessage read;

    private SieveFactory jsieve;
    private List<Node> parsed;

    /** Compiles the scripts, with both. */
    @Setup(Level.Trial)
    public void setUp() throws Exception {
        message =
                ("""
                Received: from a.example by b.example; Mon, 23 Nov 2026 12:00:00 +0000\r
                From: "Last, First" <first.last1@d1.contoso.com>\r
                Reply-To: first.last2@d2.contoso.com\r
                Cc: First <first.last4@d4.contoso.com>,\r
                 Other <someone@d9.contoso.com>\r
                To: e@example.org\r
                Subject: Benchmark of rules\r
                Message-ID: <1@contoso.com>\r
                Date: Mon, 23 Nov 2026 12:00:00 +0000\r
                X-Mailer: none\r
                MIME-Version: 1.0\r
                Content-Type: text/plain\r
                \r
                """
                                + "A line of the body that is long enough to fill it.\r\n".repeat(88))
                        .getBytes(StandardCharsets.US_ASCII);
        recipients = List.of(new MailAddress("e@example.org"));
        hundred = IntStream.range(0, 100).mapToObj(i -> compiled(script(i))).toList();
        thousand = IntStream.range(0, 1_000).mapToObj(i -> compiled(script(i))).toList();
        StringBuilder list = new StringBuilder();
        for (int i = 0; i < DOMAINS; i++) {
            list.append(i == 0 ? "" : ",").append("\"d").append(i).append(".contoso.com\"");
        }
        domains = compiled("require \"envelope\"; if envelope :domain \"to\" [" + list + "] { discard; }");
        oneDomain = compiled("require \"envelope\"; if envelope :domain \"to\" \"d1.contoso.com\" { discard; }");
        read = message();
        jsieve = new ConfigurationManager().build();
        parsed = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            parsed.add(parsed(i));
        }
    }

    private static String script(int i) {
        return """
                if anyof (header :contains "Subject" "secret project %d", header :is "X-Class" ["a%d", "b", "c"],
                          address :domain :is ["From", "To"] "partner%d.example") { discard; }
                """
                .formatted(i, i, i);
    }

    private static RuleScript compiled(String script) {
        return COMPILER.compile(
                        new RuleCompiler.Source("benchmark", script, SourceLocation.NONE),
                        name -> Optional.empty(),
                        problem -> {
                            throw new IllegalStateException(problem.toString());
                        })
                .orElseThrow();
    }

    private Node parsed(int i) throws org.apache.jsieve.parser.generated.ParseException {
        return jsieve.parse(new ByteArrayInputStream(script(i).getBytes(StandardCharsets.UTF_8)));
    }

    private RuleMessage message() throws IOException {
        ByteArrayInputStream in = new ByteArrayInputStream(message);
        return new RuleMessage(
                Optional.empty(),
                recipients,
                HeaderSection.read(in),
                message.length,
                RuleMessage.Body.empty(),
                Optional.empty(),
                Origin.INTERNET,
                AcceptedDomains.none());
    }

    private int pass(List<RuleScript> scripts) throws IOException, RuleScriptException {
        RuleMessage fresh = message();
        int hits = 0;
        for (RuleScript script : scripts) {
            hits += run(script, fresh) ? 1 : 0;
        }
        return hits;
    }

    private boolean run(RuleScript script, RuleMessage fresh) throws RuleScriptException {
        return script.run(new RuleScript.Run(fresh, recipients, NOW, RuleScript.Trace.NONE))
                .hit();
    }

    /** A pass over 100 rules. */
    @Benchmark
    public int rules100() throws Exception {
        return pass(hundred);
    }

    /** A pass over 1,000 rules. */
    @Benchmark
    public int rules1000() throws Exception {
        return pass(thousand);
    }

    /** What of a pass is reading the header. */
    @Benchmark
    public Object headerAlone() throws Exception {
        return message();
    }

    /** One rule with a list of 100,000 domains. */
    @Benchmark
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    public boolean domains100000() throws Exception {
        return run(domains, read);
    }

    /** The same with one domain: the difference is what the list costs. */
    @Benchmark
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    public boolean domains1() throws Exception {
        return run(oneDomain, read);
    }

    /** The evaluator of jSieve over the same 100 rules, parsed before. */
    @Benchmark
    public int jsieve100() throws Exception {
        Adapter adapter = new Adapter(message().header(), message.length);
        for (Node node : parsed) {
            jsieve.evaluate(adapter, node);
        }
        return adapter.actions.size();
    }

    /** One rule, parsed for the message and evaluated by jSieve. */
    @Benchmark
    public int jsieveParsedForTheMessage() throws Exception {
        Adapter adapter = new Adapter(message().header(), message.length);
        jsieve.evaluate(adapter, parsed(1));
        return adapter.actions.size();
    }

    /** The message as jSieve asks for it; addresses by our parser, so that the evaluators alone differ. */
    private static final class Adapter implements MailAdapter {
        private final HeaderSection header;
        private final int size;
        private final List<Action> actions = new ArrayList<>();

        Adapter(HeaderSection header, int size) {
            this.header = header;
            this.size = size;
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
            // none of them matters
        }

        @Override
        public List<String> getHeader(String name) {
            return getMatchingHeader(name);
        }

        @Override
        public List<String> getMatchingHeader(String name) {
            List<String> values = new ArrayList<>(1);
            for (HeaderField field : header.fields()) {
                if (field.name().equalsIgnoreCase(name)) {
                    values.add(
                            field.raw().substring(field.raw().indexOf(':') + 1).trim());
                }
            }
            return values;
        }

        @Override
        public List<String> getHeaderNames() {
            return header.fields().stream().map(HeaderField::name).toList();
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

        @Override
        public Address[] parseAddresses(String name) {
            List<Address> all = new ArrayList<>(2);
            for (String value : getMatchingHeader(name)) {
                if (AddressList.read(value, 0) instanceof AddressList.Addresses found) {
                    found.all().forEach(one -> all.add(new AddressImpl(one.localPart(), one.domain())));
                }
            }
            return all.toArray(Address[]::new);
        }
    }
}
