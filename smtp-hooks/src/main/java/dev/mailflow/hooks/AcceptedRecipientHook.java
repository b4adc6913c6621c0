/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.hooks;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.apache.james.core.Domain;
import org.apache.james.core.MailAddress;
import org.apache.james.core.MaybeSender;
import org.apache.james.domainlist.api.DomainList;
import org.apache.james.domainlist.api.DomainListException;
import org.apache.james.protocols.smtp.SMTPSession;
import org.apache.james.protocols.smtp.hook.HookResult;
import org.apache.james.protocols.smtp.hook.RcptHook;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;

import dev.mailflow.directory.MailboxDirectories;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.AcceptedDomains;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.event.MailFlowEvents;
import dev.mailflow.policy.hybrid.DirectoryUnavailableException;
import dev.mailflow.policy.hybrid.MailboxDirectory;
import dev.mailflow.policy.hybrid.RecipientLocation;
import dev.mailflow.policy.inbound.RecipientAdmission;
import dev.mailflow.policy.inbound.SmtpReply;
import dev.mailflow.policy.rewrite.AddressRewriter;
import dev.mailflow.policy.rewrite.Direction;
import dev.mailflow.policy.rewrite.Rewrite;
import io.netty.channel.EventLoop;
import io.netty.util.internal.ThreadExecutorMap;

/**
 * Decides at RCPT by the accepted domains of the policy, in place of James's {@code ValidRcptHandler} and in front of
 * its relay check: everybody is known in an authoritative domain, strangers of an internal relay domain leave by a
 * connector, an external relay domain has no mailbox here, and any other domain needs the right to relay (an
 * organization connector, authentication, or {@code authorizedAddresses}). A domain that only James's own domain list
 * has counts as authoritative. In a shared domain of a hybrid policy those in the cloud are known too, and what the cloud
 * sends for its own remote routing addresses is a loop.
 *
 * <p>Put it after every other RCPT hook: for external relay domains it must say "accepted" so that James's relay check
 * is not asked, and hooks after it are not asked either.
 *
 * <p>The client sees {@code 550 5.7.64 Relay access denied}, {@code 550 5.1.10 Recipient not found} or {@code 554 5.4.14
 * Routing loop}; when users cannot be looked up, {@code 451 4.3.0} and the administrator the cause in the log.
 */
public final class AcceptedRecipientHook extends DoorHandler implements RcptHook {
    private static final Logger LOGGER = LoggerFactory.getLogger(AcceptedRecipientHook.class);

    private final MailboxDirectories directories;
    private final DomainList domains;

    @Inject
    public AcceptedRecipientHook(
            Transactions transactions, MailboxDirectories directories, DomainList domains, MailFlowEvents events) {
        super(transactions, events);
        this.directories = directories;
        this.domains = domains;
    }

    @Override
    public HookResult doRcpt(SMTPSession session, MaybeSender sender, MailAddress recipient) {
        Transaction transaction = transactions().current(session);
        // true, besides what the policy says, for authenticated users and for authorizedAddresses
        boolean mayRelay = transaction.attribution().mayRelay() || session.isRelayingAllowed();
        try {
            MailAddress inside = inside(transaction, sender, recipient);
            boolean localToJames = domains.containsDomain(inside.getDomain());
            MailFlowPolicy policy = policy(transaction, inside.getDomain(), localToJames);
            RecipientAdmission admission = RecipientAdmission.decide(
                    policy,
                    new RecipientAdmission.Client(mayRelay, isFromCloud(transaction), sender.asOptional()),
                    inside,
                    RecipientLocation.of(policy, inside, directory(policy)));
            if (admission instanceof RecipientAdmission.Reject rejection) {
                return refuse(session, "recipient", rejection.reply(), rejection.reason(), Optional.of(recipient));
            }
            boolean jamesAgrees = (localToJames && inside.equals(recipient)) || session.isRelayingAllowed();
            return jamesAgrees ? HookResult.DECLINED : HookResult.OK;
        } catch (DomainListException | DirectoryUnavailableException | RuntimeException e) {
            LOGGER.error("Recipient {} cannot be looked up", recipient, e);
            return refuse(
                    session,
                    "recipient",
                    SmtpReply.recipientNotVerifiable(),
                    "the recipient cannot be looked up: " + e,
                    Optional.of(recipient));
        }
    }

    /** Inbound rewriting precedes recipient validation: the mailbox asked for is the one the mail will go to. */
    static MailAddress inside(Transaction transaction, MaybeSender sender, MailAddress recipient) {
        AddressRewriter rewriter = new AddressRewriter(transaction.policy(), Direction.INBOUND);
        boolean applies = rewriter.scope(Optional.of(transaction.attribution().origin()), sender.asOptional(), "")
                .applies();
        return applies && rewriter.rewrite(recipient, Set.of()) instanceof Rewrite.Changed changed
                ? AddressRewriter.envelopeAddress(changed).orElse(recipient)
                : recipient;
    }

    private static MailFlowPolicy policy(Transaction transaction, Domain domain, boolean localToJames) {
        MailFlowPolicy policy = transaction.policy();
        return localToJames && !policy.acceptedDomains().contains(domain)
                ? policy.accepting(AcceptedDomains.of(List.of(new AcceptedDomain(
                        DomainPattern.parse(domain.asString()),
                        AcceptedDomain.Type.AUTHORITATIVE,
                        SourceLocation.NONE))))
                : policy;
    }

    private static boolean isFromCloud(Transaction transaction) {
        return transaction
                .policy()
                .hybrid()
                .filter(hybrid -> hybrid.isFromCloud(transaction.attribution()))
                .isPresent();
    }

    /** A stock James runs hooks on Netty's event loop, where one slow directory server would stop every connection. */
    private MailboxDirectory directory(MailFlowPolicy policy) {
        return ThreadExecutorMap.currentExecutor() instanceof EventLoop
                ? directories.withoutWaiting(policy)
                : directories.of(policy);
    }
}
