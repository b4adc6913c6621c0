/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Date;
import java.util.List;
import java.util.zip.GZIPOutputStream;

import javax.activation.DataHandler;
import javax.mail.Message;
import javax.mail.MessagingException;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.util.ByteArrayDataSource;

import org.apache.james.core.MailAddress;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import dev.mailflow.delivery.OwnMessage;

/**
 * The aggregate report of one day for one mail domain (RFC 8460 sections 4 and 5.3).
 *
 * @param id the same for the same day and domain, so that a receiver recognises one that comes twice
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record TlsReport(String domain, LocalDate day, String id, byte[] json) {
    static final String MEDIA_TYPE = "application/tlsrpt+gzip";

    private static final ObjectMapper JSON = new ObjectMapper();

    static TlsReport of(String domain, LocalDate day, DailySheet sheet, ReportSettings settings) {
        String id = day + "-" + domain + "@" + settings.submitter();
        ObjectNode report = JSON.createObjectNode();
        report.put("organization-name", settings.organization());
        report.putObject("date-range")
                .put("start-datetime", start(day).toString())
                .put("end-datetime", end(day).toString());
        report.put("contact-info", settings.contact());
        report.put("report-id", id);
        ArrayNode policies = report.putArray("policies");
        for (DailySheet.PolicySheet each : sheet.policies()) {
            ObjectNode entry = policies.addObject();
            ObjectNode policy = entry.putObject("policy").put("policy-type", each.type());
            put(policy, "policy-string", each.text());
            policy.put("policy-domain", domain);
            put(policy, "mx-host", each.mxHosts());
            entry.putObject("summary")
                    .put("total-successful-session-count", each.successes())
                    .put("total-failure-session-count", each.failed());
            if (!each.failures().isEmpty()) {
                ArrayNode details = entry.putArray("failure-details");
                each.failures().forEach(failure -> {
                    ObjectNode detail = details.addObject().put("result-type", failure.result());
                    put(detail, "sending-mta-ip", failure.ourAddress());
                    put(detail, "receiving-mx-hostname", failure.mxHost());
                    put(detail, "receiving-ip", failure.address());
                    detail.put("failed-session-count", failure.count());
                    put(detail, "failure-reason-code", failure.detail());
                });
            }
        }
        try {
            return new TlsReport(
                    domain, day, id, JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(report));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void put(ObjectNode node, String field, List<String> values) {
        if (!values.isEmpty()) {
            ArrayNode array = node.putArray(field);
            values.forEach(array::add);
        }
    }

    private static void put(ObjectNode node, String field, String value) {
        if (!value.isEmpty()) {
            node.put(field, value);
        }
    }

    private static Instant start(LocalDate day) {
        return day.atStartOfDay().toInstant(ZoneOffset.UTC);
    }

    private static Instant end(LocalDate day) {
        return start(day.plusDays(1)).minusSeconds(1);
    }

    byte[] compressed() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /** RFC 8460 section 5.3. */
    MimeMessage message(ReportSettings settings, MailAddress to, Instant now) throws MessagingException {
        MimeMessage message = OwnMessage.of(settings.submitter());
        message.setFrom(new InternetAddress(settings.from().asString()));
        message.setRecipient(Message.RecipientType.TO, new InternetAddress(to.asString()));
        message.setSentDate(Date.from(now));
        message.setSubject(
                "Report Domain: " + domain + " Submitter: " + settings.submitter() + " Report-ID: <" + id + ">");
        message.setHeader("TLS-Report-Domain", domain);
        message.setHeader("TLS-Report-Submitter", settings.submitter());
        // RFC 8689 section 5: a report on broken TLS must not be stopped by broken TLS
        message.setHeader("TLS-Required", "No");
        message.setHeader("Auto-Submitted", "auto-generated");
        MimeBodyPart text = new MimeBodyPart();
        text.setText(
                "This is an aggregate TLS report (RFC 8460) of " + settings.organization() + "\r\nfor " + domain + ", "
                        + day + " (UTC).\r\n\r\nContact: " + settings.contact() + "\r\n",
                "us-ascii");
        MimeBodyPart report = new MimeBodyPart();
        report.setDataHandler(new DataHandler(new ByteArrayDataSource(compressed(), MEDIA_TYPE)));
        report.setFileName(fileName(settings));
        report.setHeader("Content-Transfer-Encoding", "base64");
        MimeMultipart parts = new MimeMultipart("report; report-type=\"tlsrpt\"", text, report);
        message.setContent(parts);
        message.saveChanges();
        return message;
    }

    private String fileName(ReportSettings settings) {
        return settings.submitter() + "!" + domain + "!" + start(day).getEpochSecond() + "!" + end(day).getEpochSecond()
                + "!1.json.gz";
    }
}
