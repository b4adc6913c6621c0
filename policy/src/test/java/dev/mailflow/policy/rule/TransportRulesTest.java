/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rule;

import static dev.mailflow.policy.testing.PolicyXml.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

import javax.mail.internet.AddressException;

import org.apache.james.core.MailAddress;
import org.junit.jupiter.api.Test;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleOutcome.Disposition;
import dev.mailflow.policy.rule.RuleOutcome.Share;
import dev.mailflow.policy.rule.TransportRules.Stage;

/** The order, the parting and the joining of recipients, and what one rule leaves to the next. */
class TransportRulesTest {
    private static final MailAddress ANN = address("ann@contoso.com");
    private static final MailAddress BOB = address("bob@contoso.com");
    private static final MailAddress CAT = address("cat@fabrikam.com");
    private static final MailAddress ARCHIVE = address("archive@contoso.com");
    private static final HeaderSection HEADER = new HeaderSection(
            List.of(HeaderField.of("From", "joe@contoso.com"), HeaderField.of("Subject", "hello")), "\r\n");

    private static MailAddress address(String text) {
        try {
            return new MailAddress(text);
        } catch (AddressException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static RuleMessage message(MailAddress... recipients) {
        return message(Optional.of(address("joe@contoso.com")), List.of(recipients));
    }

    private static RuleMessage message(Optional<MailAddress> sender, List<MailAddress> recipients) {
        return new RuleMessage(
                sender,
                recipients,
                HEADER,
                1_000,
                RuleMessage.Body.empty(),
                Optional.empty(),
                Origin.INTERNET,
                AcceptedDomains.none());
    }

    private static RuleOutcome apply(RuleMessage message, TransportRule... rules) {
        return TransportRules.of(List.of(rules)).apply(message, Stage.PROCESSING, NOW);
    }

    private static TransportRule with(
            TransportRule rule, TransportRule.Mode mode, TransportRule.OnError onError, boolean atSmtp) {
        return new TransportRule(
                rule.name(),
                mode,
                true,
                Optional.empty(),
                Optional.empty(),
                onError,
                atSmtp,
                false,
                rule.script(),
                SourceLocation.NONE);
    }

    private static TransportRule audit(TransportRule rule) {
        return with(rule, TransportRule.Mode.AUDIT, TransportRule.OnError.DEFER, false);
    }

    private static TransportRule atSmtp(TransportRule rule) {
        return with(rule, TransportRule.Mode.ENFORCE, TransportRule.OnError.DEFER, true);
    }

    private static Optional<String> connector(Share share) {
        return share.route().map(RuleOutcome.RuledRoute::connector);
    }

    @Test
    void noRuleThatHitsShouldLeaveTheMessageAsItIs() {
        RuleMessage message = message(ANN, BOB);

        RuleOutcome outcome = apply(
                message,
                GivenScript.ifHeader("X-None", new RuleAction.Discard()).rule("none"));

        assertThat(outcome.hits()).isEmpty();
        assertThat(outcome.shares()).singleElement().satisfies(share -> {
            assertThat(share.continues()).isTrue();
            assertThat(share.recipients()).containsExactly(ANN, BOB);
            assertThat(share.header()).isSameAs(HEADER);
            assertThat(share.route()).isEmpty();
            assertThat(share.requireTls()).isFalse();
        });
    }

    @Test
    void editedHeaderShouldBeSeenByTheNextRule() {
        RuleOutcome outcome = apply(
                message(ANN),
                GivenScript.always(new RuleAction.AddHeader("X-Tag", "1", false))
                        .rule("tag"),
                GivenScript.ifHeader("X-Tag", new RuleAction.Route("out")).rule("route"));

        assertThat(outcome.shares()).singleElement().satisfies(share -> {
            assertThat(share.route()).contains(new RuleOutcome.RuledRoute("out", "route"));
            assertThat(share.header().fields().get(0).raw()).isEqualTo("X-Tag: 1\r\n");
        });
        assertThat(outcome.hits()).extracting(hit -> hit.rule().name()).containsExactly("tag", "route");
    }

    @Test
    void recipientsShouldPartOnlyWhereOutcomesDiffer() {
        RuleOutcome outcome = apply(
                message(ANN, CAT, BOB),
                GivenScript.forRecipients(CAT::equals, new RuleAction.Route("fabrikam-out"))
                        .rule("route"),
                GivenScript.always(new RuleAction.AddHeader("X-Seen", "1", false))
                        .rule("seen"));

        assertThat(outcome.shares()).hasSize(2);
        assertThat(outcome.shares().get(0).recipients()).containsExactly(ANN, BOB);
        assertThat(outcome.shares().get(1).recipients()).containsExactly(CAT);
        assertThat(connector(outcome.shares().get(1))).contains("fabrikam-out");
        assertThat(outcome.hits()).extracting(RuleOutcome.Hit::recipients).containsExactly(1, 3);
    }

    @Test
    void groupsThatBecomeEqualShouldBeOneAgain() {
        GivenScript last = GivenScript.ifHeader("X-None");
        RuleOutcome outcome = apply(
                message(ANN, CAT),
                GivenScript.forRecipients(CAT::equals, new RuleAction.Route("one"))
                        .rule("first"),
                GivenScript.always(new RuleAction.Route("two")).rule("second"),
                last.rule("last"));

        assertThat(outcome.shares()).singleElement().satisfies(share -> assertThat(connector(share))
                .contains("two"));
        assertThat(last.runs).isEqualTo(1);
    }

    @Test
    void fiveThousandRecipientsShouldMakeAsManyCopiesAsOutcomes() {
        List<MailAddress> recipients = IntStream.range(0, 5_000)
                .mapToObj(i -> address("user" + i + "@d" + i % 7 + ".example"))
                .toList();
        GivenScript perRecipient = GivenScript.perRecipient(run -> {
            String domain = run.recipients().get(0).getDomain().asString();
            return domain.equals("d0.example")
                    ? GivenScript.verdict(run, false)
                    : GivenScript.verdict(
                            run, false, new RuleAction.AddHeader("X-For", domain, false), new RuleAction.Bcc(ARCHIVE));
        });
        GivenScript once = GivenScript.always(new RuleAction.RequireTls());
        RuleOutcome outcome =
                apply(message(Optional.of(ANN), recipients), perRecipient.rule("per domain"), once.rule("tls"));

        assertThat(outcome.shares()).hasSize(7).allMatch(Share::requireTls);
        assertThat(outcome.shares().stream().flatMap(share -> share.recipients().stream()))
                .hasSize(5_001)
                .doesNotHaveDuplicates();
        assertThat(perRecipient.runs).isEqualTo(5_000);
        assertThat(once.runs).isEqualTo(7);
    }

    @Test
    void stopShouldEndTheRulesForItsRecipientsOnly() {
        RuleOutcome outcome = apply(
                message(ANN, BOB),
                GivenScript.perRecipient(
                                run -> GivenScript.verdict(run, run.recipients().contains(ANN)))
                        .rule("stop for ann"),
                GivenScript.always(new RuleAction.Discard()).rule("discard"));

        assertThat(outcome.shares()).hasSize(2);
        assertThat(outcome.shares().get(0).recipients()).containsExactly(ANN);
        assertThat(outcome.shares().get(0).continues()).isTrue();
        assertThat(outcome.shares().get(1).recipients()).containsExactly(BOB);
        assertThat(outcome.shares().get(1).disposition()).isEqualTo(new Disposition.Discard("discard"));
    }

    @Test
    void finalDispositionsShouldNotBeJudgedAgain() {
        GivenScript later = GivenScript.always(new RuleAction.Redirect(BOB, false));
        RuleOutcome outcome = apply(
                message(ANN), GivenScript.always(new RuleAction.Reject("no")).rule("no"), later.rule("later"));

        assertThat(outcome.shares()).singleElement().satisfies(share -> assertThat(share.disposition())
                .isEqualTo(new Disposition.Reject("no", "no", false)));
        assertThat(later.runs).isZero();
    }

    @Test
    void redirectShouldReplaceAndCopyShouldAdd() {
        assertThat(apply(
                                message(ANN, BOB),
                                GivenScript.forRecipients(ANN::equals, new RuleAction.Redirect(CAT, false))
                                        .rule("redirect"))
                        .shares())
                .singleElement()
                .satisfies(share -> assertThat(share.recipients()).containsExactlyInAnyOrder(BOB, CAT));
        assertThat(apply(
                                message(ANN, BOB),
                                GivenScript.forRecipients(ANN::equals, new RuleAction.Redirect(CAT, true))
                                        .rule("copy"))
                        .shares())
                .singleElement()
                .satisfies(share -> assertThat(share.recipients()).containsExactlyInAnyOrder(ANN, BOB, CAT));
        assertThat(apply(
                                message(ANN),
                                GivenScript.always(new RuleAction.Redirect(CAT, false), new RuleAction.Keep())
                                        .rule("and keep"))
                        .shares())
                .singleElement()
                .satisfies(share -> assertThat(share.recipients()).containsExactly(ANN, CAT));
    }

    @Test
    void redirectedRecipientShouldBeTheOneThatLaterRulesSee() {
        RuleOutcome outcome = apply(
                message(ANN),
                GivenScript.always(new RuleAction.Redirect(CAT, false)).rule("redirect"),
                GivenScript.forRecipients(CAT::equals, new RuleAction.Route("out"))
                        .rule("route"));

        assertThat(outcome.shares()).singleElement().satisfies(share -> {
            assertThat(share.recipients()).containsExactly(CAT);
            assertThat(connector(share)).contains("out");
        });
    }

    @Test
    void addedRecipientShouldBeAddedOnceWhoeverAddsIt() {
        RuleOutcome outcome = apply(
                message(ANN, CAT),
                GivenScript.forRecipients(CAT::equals, new RuleAction.Route("out"))
                        .rule("part"),
                GivenScript.always(new RuleAction.Bcc(ARCHIVE)).rule("bcc"),
                GivenScript.always(new RuleAction.AddRecipient(ARCHIVE), new RuleAction.Bcc(ANN))
                        .rule("again"));

        assertThat(outcome.shares().stream().flatMap(share -> share.recipients().stream()))
                .containsExactlyInAnyOrder(ANN, CAT, ARCHIVE);
    }

    @Test
    void discardShouldSpareWhomTheSameScriptAdded() {
        RuleOutcome outcome = apply(
                message(ANN),
                GivenScript.always(new RuleAction.Bcc(ARCHIVE), new RuleAction.Discard())
                        .rule("archive only"));

        assertThat(outcome.shares()).extracting(Share::recipients).containsExactly(List.of(ARCHIVE), List.of(ANN));
        assertThat(outcome.shares().get(1).disposition()).isInstanceOf(Disposition.Discard.class);
    }

    @Test
    void keepShouldOutweighDiscardButNotReject() {
        assertThat(apply(
                                message(ANN),
                                GivenScript.always(new RuleAction.Discard(), new RuleAction.Keep())
                                        .rule("keep"))
                        .shares())
                .singleElement()
                .satisfies(share -> assertThat(share.continues()).isTrue());
        assertThat(apply(
                                message(ANN),
                                GivenScript.always(new RuleAction.Reject("no"), new RuleAction.Keep())
                                        .rule("keep"))
                        .shares())
                .singleElement()
                .satisfies(share -> assertThat(share.disposition()).isInstanceOf(Disposition.Reject.class));
    }

    @Test
    void spamLevelShouldTakeThePlaceOfAnyOther() {
        RuleOutcome outcome = apply(
                message(ANN),
                GivenScript.always(new RuleAction.SetScl(9)).rule("nine"),
                GivenScript.always(new RuleAction.SetScl(-1)).rule("trusted"));

        assertThat(outcome.shares()).singleElement().satisfies(share -> {
            assertThat(share.scl()).isEqualTo(OptionalInt.of(-1));
            assertThat(share.header().fields())
                    .filteredOn(field -> field.name().equals(TransportRules.SCL_HEADER))
                    .extracting(HeaderField::raw)
                    .containsExactly("X-MS-Exchange-Organization-SCL: -1\r\n");
        });
    }

    @Test
    void auditShouldRecordAndChangeNothing() {
        RuleOutcome outcome = apply(
                message(ANN, CAT),
                audit(GivenScript.forRecipients(
                                CAT::equals,
                                new RuleAction.AddHeader("X-Tag", "1", false),
                                new RuleAction.Route("out"),
                                new RuleAction.Reject("no"))
                        .rule("audited")),
                audit(GivenScript.alwaysAndStop().rule("audited stop")),
                audit(GivenScript.of(run -> {
                            throw new RuleScriptException(SourceLocation.NONE, "broken");
                        })
                        .rule("audited failure")),
                GivenScript.ifHeader("X-Tag", new RuleAction.Discard()).rule("tagged"));

        assertThat(outcome.deferral()).isEmpty();
        assertThat(outcome.shares()).singleElement().satisfies(share -> {
            assertThat(share.header()).isSameAs(HEADER);
            assertThat(share.recipients()).containsExactly(ANN, CAT);
            assertThat(share.route()).isEmpty();
        });
        assertThat(outcome.hits()).extracting(hit -> hit.rule().name()).containsExactly("audited", "audited stop");
        assertThat(outcome.hits().get(0).actions()).contains(new RuleAction.Route("out"), new RuleAction.Reject("no"));
        assertThat(outcome.failures()).hasSize(1);
    }

    @Test
    void failureShouldDeferTheWholeMailUnlessIgnored() {
        GivenScript broken = GivenScript.perRecipient(run -> {
            if (run.recipients().contains(BOB)) {
                throw new RuleScriptException(new SourceLocation("x.sieve", 3), "the body cannot be read");
            }
            return GivenScript.verdict(run, false, new RuleAction.Bcc(ARCHIVE));
        });

        RuleOutcome deferred = apply(message(ANN, BOB), broken.rule("broken"));
        assertThat(deferred.shares()).isEmpty();
        assertThat(deferred.deferral()).isPresent();
        assertThat(deferred.deferral().get().reason()).isEqualTo("x.sieve:3: the body cannot be read");

        RuleOutcome ignored = apply(
                message(ANN, BOB),
                with(broken.rule("broken"), TransportRule.Mode.ENFORCE, TransportRule.OnError.IGNORE, false));
        assertThat(ignored.deferral()).isEmpty();
        assertThat(ignored.failures()).hasSize(1);
        assertThat(ignored.shares()).singleElement().satisfies(share -> assertThat(share.recipients())
                .containsExactlyInAnyOrder(ANN, BOB, ARCHIVE));
    }

    @Test
    void errorOfOursShouldFailClosed() {
        RuleOutcome outcome = apply(
                message(ANN),
                GivenScript.of(run -> {
                            throw new IllegalStateException("bug");
                        })
                        .rule("bug"));

        assertThat(outcome.deferral()).isPresent();
    }

    @Test
    void tooManyAddedRecipientsShouldBeAFailure() {
        RuleAction[] actions = IntStream.rangeClosed(0, TransportRules.MOST_ADDED)
                .mapToObj(i -> new RuleAction.Bcc(address("u" + i + "@contoso.com")))
                .toArray(RuleAction[]::new);

        assertThat(apply(message(ANN), GivenScript.always(actions).rule("flood"))
                        .deferral())
                .isPresent();
    }

    @Test
    void nullSenderShouldBeExemptUnlessTheRuleOptsIn() {
        RuleMessage report = message(Optional.empty(), List.of(ANN));
        TransportRule rule = GivenScript.always(new RuleAction.Discard()).rule("discard");

        assertThat(apply(report, rule).hits()).isEmpty();
        TransportRule opted = new TransportRule(
                rule.name(),
                rule.mode(),
                true,
                Optional.empty(),
                Optional.empty(),
                rule.onError(),
                false,
                true,
                rule.script(),
                rule.location());
        assertThat(apply(report, opted).hits()).hasSize(1);
    }

    @Test
    void ruleShouldCountFromActivationToExpiryOnly() {
        Instant begin = NOW.plus(Duration.ofHours(1));
        Instant end = begin.plus(Duration.ofHours(1));
        TransportRule rule = new TransportRule(
                "timed",
                TransportRule.Mode.ENFORCE,
                true,
                Optional.of(begin),
                Optional.of(end),
                TransportRule.OnError.DEFER,
                false,
                false,
                GivenScript.always(new RuleAction.Discard()),
                SourceLocation.NONE);

        assertThat(rule.idleAt(begin.minusMillis(1))).contains("it activates at " + begin);
        assertThat(rule.idleAt(begin)).isEmpty();
        assertThat(rule.idleAt(end.minusMillis(1))).isEmpty();
        assertThat(rule.idleAt(end)).contains("it expired at " + end);
    }

    @Test
    void refusalAtSmtpShouldNeedEveryRecipientAndARuleThatMay() {
        TransportRule forCat = atSmtp(GivenScript.forRecipients(CAT::equals, new RuleAction.Reject("no cats"))
                .rule("cats"));

        assertThat(smtp(message(CAT), forCat).refusal()).contains(new Disposition.Reject("cats", "no cats", true));
        assertThat(smtp(message(CAT, ANN), forCat).refusal()).isEmpty();
        assertThat(smtp(message(CAT), audit(forCat)).refusal()).isEmpty();
        assertThat(smtp(
                                message(CAT),
                                GivenScript.always(new RuleAction.Reject("no")).rule("later"))
                        .refusal())
                .isEmpty();
        // an earlier rule that is not for SMTP counts all the same
        assertThat(smtp(message(CAT), GivenScript.alwaysAndStop().rule("trusted"), forCat)
                        .refusal())
                .isEmpty();
    }

    @Test
    void rulesAfterTheLastOneForSmtpShouldNotBeAskedThere() {
        GivenScript later = GivenScript.always();
        smtp(message(CAT), atSmtp(GivenScript.always().rule("smtp")), later.rule("later"));

        assertThat(later.runs).isZero();
    }

    private static RuleOutcome smtp(RuleMessage message, TransportRule... rules) {
        return TransportRules.of(List.of(rules)).apply(message, Stage.SMTP, NOW);
    }

    @Test
    void observerShouldHearOfEveryRule() {
        List<String> heard = new ArrayList<>();
        RuleObserver observer = new RuleObserver() {
            @Override
            public void skipped(TransportRule rule, String why) {
                heard.add(rule.name() + " skipped: " + why);
            }

            @Override
            public void answered(TransportRule rule, List<MailAddress> recipients, RuleVerdict verdict) {
                heard.add(rule.name() + (verdict.hit() ? " hit" : " did not hit"));
            }
        };
        TransportRules.of(List.of(
                        with(
                                GivenScript.always().rule("off"),
                                TransportRule.Mode.OFF,
                                TransportRule.OnError.DEFER,
                                false),
                        GivenScript.ifHeader("X-None", new RuleAction.Discard()).rule("miss"),
                        GivenScript.alwaysAndStop().rule("stop"),
                        GivenScript.always(new RuleAction.Discard()).rule("late")))
                .apply(message(ANN), List.of(ANN), Stage.PROCESSING, NOW, observer);

        assertThat(heard)
                .containsExactly(
                        "off skipped: its mode is off",
                        "miss did not hit",
                        "stop hit",
                        "late skipped: an earlier rule stopped");
    }
}
