/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import org.apache.james.core.MaybeSender;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.mailet.base.test.FakeMailetConfig;
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
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

import dev.mailflow.mailets.AddressRewrite;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.file.MailFlowXmlReader;
import dev.mailflow.policy.rewrite.Direction;
import dev.mailflow.policy.rewrite.Rewrite;

/**
 * Address rewriting with a million entries: the time to read the file, one look-up, and the whole mailet on a message of
 * 5 KB with five addresses. Targets: 3 s, a median of 1 µs, a median of 50 µs.
 */
@State(Scope.Benchmark)
@Fork(
        value = 1,
        jvmArgs = {"-Xmx1g", "-XX:+UseSerialGC"})
public class AddressRewriteBenchmark {
    private static final int ENTRIES = 1_000_000;
    private static final int ASKED = 1 << 16;

    private Path conf;
    private MailFlowPolicy policy;
    private AddressRewrite mailet;
    private byte[] message;
    private String[] locals;
    private String[] domains;
    private int next;

    /** Writes the entries and reads them once. */
    @Setup(Level.Trial)
    public void setUp() throws Exception {
        conf = Files.createTempDirectory("rewrite");
        StringBuilder csv = new StringBuilder();
        for (int i = 0; i < ENTRIES; i++) {
            csv.append("first.last")
                    .append(i)
                    .append("@d")
                    .append(i % 5_000)
                    .append(".contoso.com,")
                    .append("alias")
                    .append(i)
                    .append("@northwind.com\n");
        }
        Files.writeString(conf.resolve("rewrite.csv"), csv);
        Files.writeString(
                conf.resolve("mailflow.xml"),
                """
                <mailflow>
                  <acceptedDomains><domain>*.contoso.com</domain></acceptedDomains>
                  <addressRewrite>
                    <entry internal="*.contoso.com" external="contoso.com"/>
                    <entriesFile>file://conf/rewrite.csv</entriesFile>
                  </addressRewrite>
                </mailflow>""");
        long before = used();
        policy = read();
        System.out.printf("%n1M entries take %d MB%n", (used() - before) >> 20);
        locals = new String[ASKED];
        domains = new String[ASKED];
        for (int i = 0; i < ASKED; i++) {
            int entry = (int) ((i * 7_919L) % ENTRIES);
            locals[i] = "First.Last" + entry;
            domains[i] = "d" + entry % 5_000 + ".contoso.com";
        }
        mailet = new AddressRewrite(new Fixed(policy), new MailFlowEvents());
        mailet.init(FakeMailetConfig.builder()
                .mailetName("AddressRewrite")
                .setProperty("direction", "outbound")
                .build());
        message =
                ("""
                Received: from a.example by b.example; Mon, 23 Nov 2026 12:00:00 +0000\r
                From: "Last, First" <first.last1@d1.contoso.com>\r
                Reply-To: first.last2@d2.contoso.com\r
                Sender: first.last3@d3.contoso.com\r
                Cc: First <first.last4@d4.contoso.com>,\r
                 Other <someone@d9.contoso.com>\r
                To: e@example.org\r
                Subject: Benchmark\r
                Message-ID: <1@contoso.com>\r
                Date: Mon, 23 Nov 2026 12:00:00 +0000\r
                MIME-Version: 1.0\r
                Content-Type: text/plain\r
                \r
                """
                                + "A line of the body that is long enough to fill it.\r\n".repeat(90))
                        .getBytes(StandardCharsets.US_ASCII);
    }

    private static long used() {
        Runtime runtime = Runtime.getRuntime();
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return runtime.totalMemory() - runtime.freeMemory();
    }

    private MailFlowPolicy read() {
        return MailFlowXmlReader.read(conf.resolve("mailflow.xml"), conf, Clock.systemUTC())
                .policy()
                .orElseThrow();
    }

    /** Removes the entries. */
    @TearDown(Level.Trial)
    public void tearDown() throws Exception {
        Files.deleteIfExists(conf.resolve("rewrite.csv"));
        Files.deleteIfExists(conf.resolve("mailflow.xml"));
        Files.deleteIfExists(conf);
    }

    /** Reading the policy with its file. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    @OutputTimeUnit(TimeUnit.MILLISECONDS)
    @Warmup(iterations = 1)
    @Measurement(iterations = 5)
    public MailFlowPolicy load() {
        return read();
    }

    /** One address, another one each time. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @OutputTimeUnit(TimeUnit.NANOSECONDS)
    @Warmup(iterations = 3, time = 1)
    @Measurement(iterations = 5, time = 1)
    public Rewrite lookUp() {
        next = (next + 1) & (ASKED - 1);
        return policy.addressRewrite().rewrite(locals[next], domains[next], Direction.OUTBOUND);
    }

    /** A mail, made and rewritten. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @OutputTimeUnit(TimeUnit.MICROSECONDS)
    @Warmup(iterations = 3, time = 2)
    @Measurement(iterations = 5, time = 1)
    public Object mailet() throws Exception {
        MailImpl mail = mail();
        mailet.service(mail);
        mail.dispose();
        return mail;
    }

    /** What of {@link #mailet} is not the mailet. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @OutputTimeUnit(TimeUnit.MICROSECONDS)
    @Warmup(iterations = 3, time = 2)
    @Measurement(iterations = 5, time = 1)
    public Object mailAlone() throws Exception {
        MailImpl mail = mail();
        mail.dispose();
        return mail;
    }

    private MailImpl mail() throws Exception {
        MailImpl mail = MailImpl.builder()
                .name("benchmark")
                .sender(MaybeSender.getMailSender("first.last1@d1.contoso.com"))
                .addRecipient("e@example.org")
                .remoteAddr("192.0.2.1")
                .build();
        mail.setMessageContent(MimeMessageInputStreamSource.create("benchmark", new ByteArrayInputStream(message)));
        return mail;
    }

    private record Fixed(MailFlowPolicy current) implements PolicyRepository {
        @Override
        public List<PolicyProblem> pendingProblems() {
            return List.of();
        }

        @Override
        public Subscription subscribe(Consumer<MailFlowPolicy> listener) {
            return () -> {};
        }
    }
}
