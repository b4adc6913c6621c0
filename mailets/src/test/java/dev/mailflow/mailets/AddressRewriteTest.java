/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.mailets;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

import javax.mail.MessagingException;

import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.server.core.MailImpl;
import org.apache.james.server.core.MimeMessageInputStreamSource;
import org.apache.james.server.core.MimeMessageWrapper;
import org.apache.mailet.Attribute;
import org.apache.mailet.AttributeName;
import org.apache.mailet.AttributeValue;
import org.apache.mailet.DsnParameters;
import org.apache.mailet.base.test.FakeMailetConfig;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import dev.mailflow.policy.event.MailFlowEvent;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.inbound.InboundFacts;
import dev.mailflow.policy.testing.GivenPolicy;

class AddressRewriteTest {
    private static final String OUTBOUND = "outbound";
    private static final String INBOUND = "inbound";

    private final GivenPolicy policy = GivenPolicy.of(
            """
            <acceptedDomains><domain>contoso.com</domain></acceptedDomains>
            <addressRewrite>
              <entry internal="joe@contoso.com" external="support@northwind.com"/>
              <entry internal="contoso.com" external="northwind.com"/>
              <entry internal="*.contoso.com" external="contoso.com"/>
              <entry internal="uml@contoso.com" external="\u00FCml@northwind.com"/>
            </addressRewrite>""");
    private final List<MailFlowEvent> events = new CopyOnWriteArrayList<>();
    private final List<MailImpl> mails = new CopyOnWriteArrayList<>();

    @AfterEach
    void disposeOfMails() {
        mails.forEach(MailImpl::dispose);
    }

    private AddressRewrite mailet(String... parameters) throws MessagingException {
        MailFlowEvents sinks = new MailFlowEvents();
        sinks.add(events::add);
        AddressRewrite mailet = new AddressRewrite(policy, sinks);
        FakeMailetConfig.Builder config = FakeMailetConfig.builder().mailetName("AddressRewrite");
        for (int i = 0; i < parameters.length; i += 2) {
            config.setProperty(parameters[i], parameters[i + 1]);
        }
        mailet.init(config.build());
        return mailet;
    }

    private MailImpl mail(String sender, byte[] content, String... recipients) throws Exception {
        MailImpl.Builder builder = MailImpl.builder()
                .name("m1")
                .sender(MaybeSender.getMailSender(sender))
                .remoteAddr("192.0.2.1");
        for (String recipient : recipients) {
            builder.addRecipient(recipient);
        }
        MailImpl mail = builder.build();
        mail.setMessageContent(MimeMessageInputStreamSource.create("m1", new ByteArrayInputStream(content)));
        mails.add(mail);
        return mail;
    }

    private static byte[] bytes(String latin1) {
        return latin1.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] content(MailImpl mail) throws Exception {
        try (InputStream in = ((MimeMessageWrapper) mail.getMessage()).getMessageInputStream()) {
            return in.readAllBytes();
        }
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static void origin(MailImpl mail, String origin) {
        String facts =
                """
                {"version":1,"clientIp":"192.0.2.1","connectionFilter":{"verdict":"none","reason":""},
                "origin":"%s","internalHeadersPreserved":false}"""
                        .formatted(origin);
        mail.setAttribute(new Attribute(AttributeName.of(InboundFacts.ATTRIBUTE), AttributeValue.of(facts)));
    }

    /** Everything in a message that holds an internal address but no field that is rewritten. */
    private static final String BODY =
            """
            MIME-Version: 1.0\r
            Message-ID: <1@contoso.com>\r
            Content-Type: multipart/mixed; boundary="joe@contoso.com"\r
            \r
            Preamble of joe@contoso.com\r
            --joe@contoso.com\r
            Content-Type: message/rfc822\r
            \r
            From: joe@contoso.com\r
            To: joe@contoso.com\r
            \r
            nested\r
            --joe@contoso.com\r
            From: joe@contoso.com\r
            \r
            a part with a From of its own, 8-bit \u00E4\u00FF\u0000, a bare\nLF and no line end
            --joe@contoso.com--""";

    static Stream<Arguments> nastyHeaders() {
        String comments = "X-Filler: " + "x".repeat(70) + "\r\n";
        return Stream.of(
                Arguments.of("folded", "From: Joe\r\n Doe\r\n <joe@contoso.com>\r\n"),
                Arguments.of("tabs", "From:\tJoe\t<joe@contoso.com>\t\r\n"),
                Arguments.of("bare LF", "From: joe@contoso.com\nSubject: x\n y\nTo: a@x.example\n"),
                Arguments.of("8-bit", "From: J\u00F6rg \u00FF <joe@contoso.com>\r\nSubject: \u00E4\u00F6\u00FC\r\n"),
                Arguments.of("UTF-8", "From: J\u00C3\u00B6rg <joe@contoso.com>\r\nSubject: \u00C3\u00A4\r\n"),
                Arguments.of("encoded words", "From: =?utf-8?Q?J=C3=B6?=\r\n =?utf-8?Q?rg?= <joe@contoso.com>\r\n"),
                Arguments.of("comments", "From: (a) joe@contoso.com (b (c))\r\n"),
                Arguments.of("group", "Cc: G: joe@contoso.com, x@x.example;\r\n"),
                Arguments.of(
                        "several From", "From: joe@contoso.com\r\nX: y\r\nFrom: joe@contoso.com, joe@contoso.com\r\n"),
                Arguments.of("odd fields", "From: joe@contoso.com\r\nno colon here\r\n: empty name\r\nX:\r\n \r\n"),
                Arguments.of(
                        "order and case",
                        "X-B: 1\r\nx-a: 2\r\nfrom: joe@contoso.com\r\nX-B: 3\r\nReturn-Path: <joe@contoso.com>\r\n"),
                Arguments.of("long line", "Subject: " + "y".repeat(5_000) + "\r\nFrom: joe@contoso.com\r\n"),
                Arguments.of("200 KB", comments.repeat(2_500) + "From: joe@contoso.com\r\n" + comments),
                Arguments.of(
                        "DKIM of others",
                        "DKIM-Signature: v=1; d=x.example; h=from;\r\n\tb=abc\r\nFrom: joe@contoso.com\r\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("nastyHeaders")
    void everyOtherByteShouldStayWhatItIs(String name, String header) throws Exception {
        byte[] before = bytes(header + BODY);
        MailImpl mail = mail("joe@contoso.com", before, "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        String after = new String(content(mail), StandardCharsets.ISO_8859_1);
        int headerEnd = after.length() - BODY.length();
        assertThat(sha256(bytes(after.substring(headerEnd)))).isEqualTo(sha256(bytes(BODY)));
        assertThat(after.substring(0, headerEnd))
                .isNotEqualTo(header)
                .isEqualTo(header.replace("joe@contoso.com", "support@northwind.com")
                        .replace("Return-Path: <support@northwind.com>", "Return-Path: <joe@contoso.com>"));
    }

    @Test
    void signedMailShouldStillVerify() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        KeyPair keys = generator.generateKeyPair();
        X500Name name = new X500Name("CN=joe@contoso.com");
        X509Certificate certificate = new JcaX509CertificateConverter()
                .getCertificate(new JcaX509v3CertificateBuilder(
                                name,
                                java.math.BigInteger.ONE,
                                Date.from(Instant.parse("2026-01-01T00:00:00Z")),
                                Date.from(Instant.parse("2036-01-01T00:00:00Z")),
                                name,
                                keys.getPublic())
                        .build(new JcaContentSignerBuilder("SHA256withRSA").build(keys.getPrivate())));
        CMSSignedDataGenerator signer = new CMSSignedDataGenerator();
        signer.addSignerInfoGenerator(
                new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build())
                        .build(new JcaContentSignerBuilder("SHA256withRSA").build(keys.getPrivate()), certificate));
        signer.addCertificates(new JcaCertStore(List.of(certificate)));
        String part =
                "Content-Type: text/plain; charset=iso-8859-1\r\nFrom: joe@contoso.com\r\n\r\nGr\u00FC\u00DFe  \r\n\t joe@contoso.com";
        byte[] signature =
                signer.generate(new CMSProcessableByteArray(bytes(part)), false).getEncoded();
        String message = "From: joe@contoso.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed;\r\n"
                + " protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n" + part
                + "\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + java.util.Base64.getMimeEncoder().encodeToString(signature) + "\r\n--b--\r\n";
        MailImpl mail = mail("joe@contoso.com", bytes(message), "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        String after = new String(content(mail), StandardCharsets.ISO_8859_1);
        assertThat(after).startsWith("From: support@northwind.com\r\n");
        String signedPart =
                after.substring(after.indexOf("--b\r\n") + 5, after.indexOf("\r\n--b\r\nContent-Type: app"));
        String encoded = after.substring(after.indexOf("base64\r\n\r\n") + 10, after.indexOf("\r\n--b--"));
        CMSSignedData signed = new CMSSignedData(
                new CMSProcessableByteArray(bytes(signedPart)),
                java.util.Base64.getMimeDecoder().decode(encoded));
        SignerInformation information = signed.getSignerInfos().iterator().next();
        assertThat(information.verify(new JcaSimpleSignerInfoVerifierBuilder().build(certificate)))
                .isTrue();
    }

    @Test
    void pgpMimeShouldKeepEveryByteOfItsParts() throws Exception {
        String body = "\r\n--b\r\nContent-Type: text/plain\r\n\r\njoe@contoso.com  \r\n--b\r\n"
                + "Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n"
                + "-----END PGP SIGNATURE-----\r\n--b--\r\n";
        String type = "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n";
        MailImpl mail = mail("joe@contoso.com", bytes("From: joe@contoso.com\r\n" + type + body), "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        assertThat(content(mail)).isEqualTo(bytes("From: support@northwind.com\r\n" + type + body));
    }

    @Test
    void outboundShouldRewriteTheEnvelopeSenderAndNoRecipient() throws Exception {
        MailImpl mail = mail(
                "ann@sales.contoso.com",
                bytes("From: ann@sales.contoso.com\r\nTo: joe@contoso.com\r\nCc: joe@contoso.com\r\n\r\nx"),
                "joe@contoso.com",
                "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        assertThat(mail.getMaybeSender().asString()).isEqualTo("ann@contoso.com");
        assertThat(mail.getRecipients())
                .containsExactlyInAnyOrder(new MailAddress("joe@contoso.com"), new MailAddress("e@example.org"));
        assertThat(content(mail))
                .asString()
                .isEqualTo("From: ann@contoso.com\r\nTo: joe@contoso.com\r\nCc: support@northwind.com\r\n\r\nx");
        assertThat(events).singleElement().isInstanceOfSatisfying(MailFlowEvent.Rewritten.class, event -> {
            assertThat(event.direction()).isEqualTo("outbound");
            assertThat(event.changes())
                    .extracting(MailFlowEvent.Rewritten.Change::toString)
                    .containsExactly(
                            "envelope-from: ann@sales.contoso.com -> ann@contoso.com by *.contoso.com -> contoso.com"
                                    + " (mailflow.xml:6)",
                            "From: ann@sales.contoso.com -> ann@contoso.com by *.contoso.com -> contoso.com"
                                    + " (mailflow.xml:6)",
                            "Cc: joe@contoso.com -> support@northwind.com by joe@contoso.com <-> support@northwind.com"
                                    + " (mailflow.xml:4)");
        });
    }

    @Test
    void inboundShouldRewriteRecipientsWithWhatTheirSenderAskedToBeToldOf() throws Exception {
        MailImpl mail = mail(
                "e@example.org",
                bytes("From: support@northwind.com\r\nTo: Help <support@northwind.com>\r\n\r\nx"),
                "support@northwind.com",
                "other@example.org");
        mail.setDsnParameters(DsnParameters.builder()
                .envId(DsnParameters.EnvId.of("E1"))
                .addRcptParameter(
                        new MailAddress("support@northwind.com"),
                        DsnParameters.RecipientDsnParameters.of(new MailAddress("support@northwind.com")))
                .build()
                .orElseThrow());

        mailet("direction", INBOUND).service(mail);

        assertThat(mail.getRecipients())
                .containsExactlyInAnyOrder(new MailAddress("joe@contoso.com"), new MailAddress("other@example.org"));
        assertThat(mail.getMaybeSender().asString()).isEqualTo("e@example.org");
        assertThat(content(mail))
                .asString()
                .isEqualTo("From: support@northwind.com\r\nTo: Help <joe@contoso.com>\r\n\r\nx");
        assertThat(mail.dsnParameters().orElseThrow().getRcptParameters())
                .containsOnlyKeys(new MailAddress("joe@contoso.com"));
    }

    @ParameterizedTest(name = "{0} from {1}, origin {2}: {3}")
    @CsvSource(
            nullValues = "-",
            value = {
                "outbound, joe@contoso.com,       -,        true",
                "outbound, joe@x.contoso.com,     -,        true",
                "outbound, joe@contoso.com,       internet, true",
                "outbound, e@example.org,         -,        false",
                "outbound, e@example.org,         internal, false",
                "outbound, <>,                    -,        false",
                "outbound, <>,                    internal, true",
                "inbound,  e@example.org,         -,        true",
                "inbound,  <>,                    -,        true",
                "inbound,  joe@contoso.com,       -,        false",
                "inbound,  joe@contoso.com,       internet, true",
                "inbound,  e@example.org,         internal, false",
                "inbound,  e@example.org,         partner,  true",
            })
    void scopeShouldBeWhatTheContractSays(String direction, String sender, String origin, boolean rewritten)
            throws Exception {
        MailImpl mail =
                mail(sender, bytes("From: ann@contoso.com\r\nTo: ann@northwind.com\r\n\r\n"), "someone@example.org");
        if (origin != null) {
            origin(mail, origin);
        }

        mailet("direction", direction).service(mail);

        assertThat(events.isEmpty()).isEqualTo(!rewritten);
    }

    @Test
    void mailOfThisServerWithoutSenderShouldCountAsOurs() throws Exception {
        MailImpl mail = mail("<>", bytes("From: postmaster@contoso.com\r\n\r\n"), "e@example.org");
        mail.setRemoteAddr("127.0.0.1");

        mailet("direction", OUTBOUND).service(mail);

        assertThat(content(mail)).asString().startsWith("From: postmaster@northwind.com");
    }

    @Test
    void secondPassShouldChangeNothing() throws Exception {
        MailImpl mail = mail(
                "ann@x.contoso.com", bytes("From: ann@x.contoso.com\r\nCc: bob@contoso.com\r\n\r\nx"), "e@example.org");
        AddressRewrite mailet = mailet("direction", OUTBOUND);
        mailet.service(mail);
        byte[] once = content(mail);

        mailet.service(mail);

        assertThat(content(mail))
                .isEqualTo(once)
                .asString()
                .startsWith("From: ann@contoso.com\r\nCc: bob@northwind.com");
        assertThat(mail.getMaybeSender().asString()).isEqualTo("ann@contoso.com");
        assertThat(events).hasSize(1);
    }

    @Test
    void unreadableFieldShouldBeTold() throws Exception {
        byte[] before = bytes("From: joe@contoso.com bob@contoso.com\r\n\r\nx");
        MailImpl mail = mail("bob@example.contoso.com", before, "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        assertThat(content(mail)).isEqualTo(before);
        assertThat(events).anySatisfy(event -> assertThat(event)
                .isInstanceOfSatisfying(MailFlowEvent.NotRewritten.class, told -> {
                    assertThat(told.field()).isEqualTo("From");
                    assertThat(told.reason()).startsWith("found text that is no address");
                }));
    }

    @Test
    void senderThatJamesCannotExpressShouldStayAndBeTold() throws Exception {
        MailImpl mail = mail("uml@contoso.com", bytes("From: uml@contoso.com\r\n\r\n"), "e@example.org");

        mailet("direction", OUTBOUND).service(mail);

        assertThat(mail.getMaybeSender().asString()).isEqualTo("uml@contoso.com");
        assertThat(content(mail)).isEqualTo("From: \u00FCml@northwind.com\r\n\r\n".getBytes(StandardCharsets.UTF_8));
        assertThat(events).anyMatch(MailFlowEvent.NotRewritten.class::isInstance);
    }

    @Test
    void headersParameterShouldChangeWhatIsRewritten() throws Exception {
        MailImpl mail =
                mail("joe@contoso.com", bytes("From: joe@contoso.com\r\nTo: joe@contoso.com\r\n\r\n"), "e@example.org");

        mailet("direction", OUTBOUND, "headers", "To").service(mail);

        assertThat(content(mail)).asString().isEqualTo("From: joe@contoso.com\r\nTo: support@northwind.com\r\n\r\n");
    }

    @Test
    void mailShouldBeRewrittenByThePolicyInForceWhenItPasses() throws Exception {
        AddressRewrite mailet = mailet("direction", OUTBOUND);
        policy.replace("<acceptedDomains><domain>contoso.com</domain></acceptedDomains>");
        byte[] before = bytes("From: joe@contoso.com\r\n\r\n");
        MailImpl mail = mail("joe@contoso.com", before, "e@example.org");

        mailet.service(mail);

        assertThat(content(mail)).isEqualTo(before);
    }

    @ParameterizedTest
    @CsvSource({
        "direction, sideways, 'found ''sideways'', expected outbound or inbound'",
        "headers, Subject, 'parameter <direction> of mailet'",
    })
    void wrongParameterShouldKeepJamesFromStarting(String name, String value, String message) {
        assertThatThrownBy(() -> mailet(name, value))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining(message);
    }

    @Test
    void unknownHeaderShouldKeepJamesFromStarting() {
        assertThatThrownBy(() -> mailet("direction", INBOUND, "headers", "To, Subject"))
                .isInstanceOf(MessagingException.class)
                .hasMessageContaining(
                        "parameter <headers> of mailet dev.mailflow.mailets.AddressRewrite: found 'Subject',"
                                + " expected fields among Cc, Disposition-Notification-To, From");
    }
}
