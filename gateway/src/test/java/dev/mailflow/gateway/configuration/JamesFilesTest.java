/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.configuration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import org.apache.commons.configuration2.BaseConfiguration;
import org.apache.commons.configuration2.ex.ConversionException;
import org.apache.james.server.core.configuration.FileConfigurationProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.gateway.SampleConfiguration;

class JamesFilesTest {
    @TempDir
    private Path directory;

    private SampleConfiguration conf;

    @BeforeEach
    void sample() {
        conf = SampleConfiguration.copyTo(directory);
    }

    private List<String> problems() {
        return new JamesFiles(directory)
                .problems().stream().map(Object::toString).toList();
    }

    private void dns(String settings) {
        conf.write("dnsservice.xml", "<?xml version=\"1.0\"?>\n<dnsservice>\n" + settings + "\n</dnsservice>\n");
    }

    @Test
    void shippedFilesShouldHaveNoProblem() {
        assertThat(problems()).isEmpty();
    }

    @Test
    void everySettingOfTheDnsServiceShouldBeTaken() {
        dns(
                """
                <autodiscover>FALSE</autodiscover>
                <authoritative>no</authoritative>
                <setAsDNSJavaDefault>on</setAsDNSJavaDefault>
                <verbose>${sys:no.such.property:-false}</verbose>
                <singleIPperMX>false</singleIPperMX>
                <maxcachesize>0x10</maxcachesize>
                <negativeCacheTTL>-1</negativeCacheTTL>
                <servers>
                  <server>192.0.2.53</server> <!-- one -->
                  <server> 2001:db8::53 </server>
                  <server>localhost</server>
                </servers>
                <searchpaths><searchpath>contoso.com</searchpath></searchpaths>""");

        assertThat(problems()).isEmpty();
    }

    @Test
    void noFilesAtAllShouldHaveNoProblem() throws IOException {
        Files.delete(directory.resolve("dnsservice.xml"));

        assertThat(problems()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "<servers><server>not-an-address</server></servers>"
                        + "| <server>: found 'not-an-address', expected the address of a name server (192.0.2.53",
                "<servers><server>127.0.0.1:5353</server></servers>"
                        + "| <server>: found '127.0.0.1:5353', expected the address of a name server (192.0.2.53 or"
                        + " 2001:db8::53); it is asked at port 53",
                "<servers><server/></servers>| <server>: found '', expected the address",
                "<servers>192.0.2.53</servers>| <servers>: found '192.0.2.53', expected one or more <server>",
                "<servers><host>192.0.2.53</host></servers>| found <host> in <servers>, expected <server>",
                "<servers><server port='5353'>192.0.2.53</server></servers>"
                        + "| found attribute port of <server>, expected no attribute",
                "<server>192.0.2.53</server>| found <server> in <dnsservice>, expected <autodiscover>, <servers>,",
                "<autoDiscover>true</autoDiscover>| found <autoDiscover> in <dnsservice>, expected <autodiscover>,",
                "<autodiscover>maybe</autodiscover>| <autodiscover>: found 'maybe', expected true or false",
                "<autodiscover/>| <autodiscover>: found '', expected true or false",
                "<maxcachesize>many</maxcachesize>| <maxcachesize>: found 'many', expected a whole number",
                "<negativeCacheTTL>5m</negativeCacheTTL>| <negativeCacheTTL>: found '5m', expected a whole number",
                "<authoritative><x/></authoritative>| found <x> in <authoritative>, expected text",
                "<searchpaths><searchpath>a..b</searchpath></searchpaths>"
                        + "| <searchpath>: found 'a..b', expected a domain (contoso.com)"
            })
    void settingThatJamesDoesNotUnderstandShouldBeNamedWithItsLine(String setting, String told) {
        dns("<!-- first -->\n" + setting);

        assertThat(problems())
                .anySatisfy(problem -> assertThat(problem).startsWith("dnsservice.xml:4: error: " + told));
    }

    @Test
    void allMistakesShouldBeToldAtOnce() {
        dns("<autodiscover>maybe</autodiscover>\n<servers>\n<server>not an address</server>\n</servers>");
        conf.write("usersrepository.xml", "<usersrepository>");

        assertThat(problems())
                .hasSize(3)
                .anySatisfy(problem -> assertThat(problem).startsWith("dnsservice.xml:3: "))
                .anySatisfy(problem -> assertThat(problem).startsWith("dnsservice.xml:5: "))
                .anySatisfy(problem -> assertThat(problem).startsWith("usersrepository.xml:1: "));
    }

    static List<String> shipped() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("..", "james-conf"))) {
            return files.map(file -> file.getFileName().toString())
                    .filter(file -> file.endsWith(".xml"))
                    // the policy has its own reader, and the log is read before all else
                    .filter(file -> !List.of("mailflow.xml", "logback.xml").contains(file))
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("shipped")
    void fileThatIsNotWellFormedShouldBeNamedWithTheLine(String file) throws IOException {
        String good = Files.readString(directory.resolve(file));
        conf.write(file, good + "\n<oops>\n");

        long lines = good.chars().filter(c -> c == '\n').count();
        assertThat(problems())
                .containsExactly(file + ":" + (lines + 2) + ": error: not well-formed XML: The markup in the document"
                        + " following the root element must be well-formed.");
    }

    @Test
    void passwordBehindAStrayAmpersandShouldNotBeShown() {
        conf.write("smtpserver.xml", "<smtpservers>\n<secret>a&hunter2 </secret></smtpservers>");

        assertThat(problems())
                .containsExactly("smtpserver.xml:2: error: not well-formed XML: found a '&' that begins none of"
                        + " &amp; &lt; &gt; &quot; &apos;; write '&' itself as &amp;");
        conf.write("smtpserver.xml", "<smtpservers>\n<secret>a&hunter2;</secret></smtpservers>");
        assertThat(problems()).singleElement().asString().doesNotContain("hunter2");
        conf.write("smtpserver.xml", "<smtpservers>\n<secret>a& hunter2</secret></smtpservers>");
        assertThat(problems()).singleElement().asString().doesNotContain("hunter2");
    }

    @Test
    void valueThatJamesCouldNotTakeShouldBeFoundInItsFile() throws Exception {
        conf.write(
                "imapserver.xml",
                """
                <imapservers>
                  <imapserver enabled="maybe">
                    <jmxName>imap</jmxName>
                    <connectionLimit>some</connectionLimit>
                  </imapserver>
                </imapservers>
                """);
        // which closes it
        InputStream content = Files.newInputStream(directory.resolve("imapserver.xml"));
        var server = FileConfigurationProvider.getConfig(content).configurationAt("imapserver");
        JamesFiles files = new JamesFiles(directory);

        assertThat(files.placesOf(
                        catchThrowableOfType(ConversionException.class, () -> server.getInt("connectionLimit"))))
                .extracting(Object::toString)
                .containsExactly("imapserver.xml:4: error: <connectionLimit>: found 'some', expected a whole number");
        assertThat(files.placesOf(
                        catchThrowableOfType(ConversionException.class, () -> server.getBoolean("[@enabled]"))))
                .extracting(Object::toString)
                .containsExactly("imapserver.xml:2: error: attribute enabled of <imapserver>: found 'maybe', expected"
                        + " true or false");
        assertThat(files.placesOf(new ConversionException("something else"))).isEmpty();
    }

    @Test
    void valueOfAPropertiesFileShouldBeFoundToo() {
        conf.write("webadmin.properties", "# port=abc\nenabled=true\n port = abc\n");
        BaseConfiguration properties = new BaseConfiguration();
        properties.setProperty("port", "abc");

        assertThat(new JamesFiles(directory)
                        .placesOf(catchThrowableOfType(ConversionException.class, () -> properties.getInt("port"))))
                .extracting(Object::toString)
                .containsExactly("webadmin.properties:3: error: port: found 'abc', expected a whole number");
    }
}
