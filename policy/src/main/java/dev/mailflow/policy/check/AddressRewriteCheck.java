/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.check;

import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

import org.apache.james.core.Domain;

import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.rewrite.AddressRewriteEntry;
import dev.mailflow.policy.rewrite.AddressRewriteTable;
import dev.mailflow.policy.rewrite.RewriteSide;

/**
 * Finds rewriting entries that cannot mean what they seem to mean. Of each kind of finding only the first
 * {@value #LISTED} are told, so that a file with a million entries of one wrong domain makes no report of a million lines.
 */
final class AddressRewriteCheck {
    static final int LISTED = 100;

    private enum Finding {
        NOT_OURS,
        CHANGES_NOTHING,
        EXCEPTIONS,
        SAME_ALIAS
    }

    private final MailFlowPolicy policy;
    private final AddressRewriteTable table;
    private final Consumer<PolicyProblem> problems;
    private final Map<Finding, Integer> counts = new EnumMap<>(Finding.class);
    /** Acceptance of domains already asked for; entries of one domain tend to come in thousands. */
    private final Map<String, Optional<AcceptedDomain>> accepted = new HashMap<>();
    /** The first {@code *.} entry of each domain that others are made to look like. */
    private final Map<String, AddressRewriteEntry> flattened = new LinkedHashMap<>();

    AddressRewriteCheck(MailFlowPolicy policy, Consumer<PolicyProblem> problems) {
        this.policy = policy;
        this.table = policy.addressRewrite();
        this.problems = problems;
    }

    void run() {
        table.forEach(entry -> {
            notOurs(entry);
            changesNothing(entry);
            exceptions(entry);
            if (entry.internal().kind() == RewriteSide.Kind.SUBDOMAINS) {
                flattened.putIfAbsent(entry.external().domain().name(), entry);
            }
        });
        if (!flattened.isEmpty()) {
            table.forEach(this::sameAlias);
        }
        table.sameInternal().forEach(this::sameInternal);
        table.sameExternal().forEach(this::sameExternal);
        counts.forEach((finding, count) -> {
            if (count > LISTED) {
                problems.accept(PolicyProblem.warning(
                        new SourceLocation(policy.source(), 0),
                        "and " + (count - LISTED) + " more findings like those about "
                                + switch (finding) {
                                    case NOT_OURS -> "entries whose domain is not accepted as authoritative";
                                    case CHANGES_NOTHING -> "entries that change nothing";
                                    case EXCEPTIONS -> "exceptions";
                                    case SAME_ALIAS -> "aliases that flattening makes as well";
                                }));
            }
        });
    }

    private void find(Finding finding, PolicyProblem.Severity severity, AddressRewriteEntry entry, String message) {
        if (counts.merge(finding, 1, Integer::sum) <= LISTED) {
            problems.accept(new PolicyProblem(severity, entry.location(), message));
        }
    }

    private static String name(AddressRewriteEntry entry) {
        return "rewriting entry " + entry.internal() + (entry.outboundOnly() ? " -> " : " <-> ") + entry.external();
    }

    private void notOurs(AddressRewriteEntry entry) {
        String domain = entry.internal().domain().name();
        Optional<AcceptedDomain> known = accepted.computeIfAbsent(domain, this::find);
        if (known.filter(found -> found.type() == AcceptedDomain.Type.AUTHORITATIVE)
                .isEmpty()) {
            find(
                    Finding.NOT_OURS,
                    PolicyProblem.Severity.ERROR,
                    entry,
                    name(entry) + " rewrites addresses of other people: " + domain
                            + known.map(found -> " is accepted as " + found.type())
                                    .orElse(" is not an accepted domain")
                            + ", expected an authoritative accepted domain");
        }
    }

    private Optional<AcceptedDomain> find(String domain) {
        try {
            return policy.acceptedDomains().find(Domain.of(domain));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private void changesNothing(AddressRewriteEntry entry) {
        if (entry.internal().toString().equalsIgnoreCase(entry.external().toString())) {
            find(
                    Finding.CHANGES_NOTHING,
                    PolicyProblem.Severity.WARNING,
                    entry,
                    name(entry) + " can never win: both sides are the same; remove it");
        }
    }

    private void exceptions(AddressRewriteEntry entry) {
        DomainPattern domain = entry.internal().domain();
        for (DomainPattern exception : entry.exceptions()) {
            if (entry.internal().kind() == RewriteSide.Kind.MAILBOX) {
                exceptionFinding(entry, exception, "matches nothing: a mailbox has no exceptions; remove it");
            } else if (exception.covers(domain)) {
                exceptionFinding(entry, exception, "leaves nothing of " + domain + ": the entry can never win");
            } else if (!domain.covers(exception)) {
                exceptionFinding(entry, exception, "matches nothing: it is not in " + domain + "; remove it");
            }
        }
    }

    private void exceptionFinding(AddressRewriteEntry entry, DomainPattern exception, String what) {
        find(
                Finding.EXCEPTIONS,
                PolicyProblem.Severity.WARNING,
                entry,
                name(entry) + ": exception " + exception + " " + what);
    }

    /** Two people of one name in two subdomains become one alias; what is known here of names are the entries. */
    private void sameAlias(AddressRewriteEntry entry) {
        String domain = entry.external().domain().name();
        AddressRewriteEntry flattening = flattened.get(domain);
        if (flattening == null || flattening.equals(entry)) {
            return;
        }
        String alias = entry.external()
                .localPart()
                .map(local -> "alias " + entry.external())
                .orElse("every alias of " + domain);
        find(
                Finding.SAME_ALIAS,
                PolicyProblem.Severity.WARNING,
                entry,
                name(entry) + ": " + alias + " may be a duplicate, for " + name(flattening) + " at "
                        + flattening.location() + " makes the same of mailboxes with that name in "
                        + flattening.internal().domain()
                        + "; local parts must be unique over all of them");
    }

    private void sameInternal(AddressRewriteTable.SameSide pair) {
        AddressRewriteEntry loser = pair.loser();
        problems.accept(PolicyProblem.warning(
                loser.location(),
                name(loser) + (loser.outboundOnly() ? " can never win" : " never wins outbound") + ": the entry at "
                        + pair.winner().location() + " says what becomes of " + loser.internal()
                        + "; expected one entry for each internal side"));
    }

    private void sameExternal(AddressRewriteTable.SameSide pair) {
        AddressRewriteEntry loser = pair.loser();
        problems.accept(PolicyProblem.error(
                loser.location(),
                name(loser) + " can never win inbound: mail for " + loser.external() + " goes to "
                        + pair.winner().internal() + " by the entry at "
                        + pair.winner().location()
                        + ", replies to " + loser.internal()
                        + " too; expected each external side in one entry, or outboundOnly=\"true\""));
    }
}
