/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.webadmin;

import java.time.Clock;

import org.apache.james.webadmin.Routes;
import org.apache.james.webadmin.utils.ErrorResponder;
import org.eclipse.jetty.http.HttpStatus;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.inject.Inject;

import dev.mailflow.directory.MailboxDirectories;
import dev.mailflow.policy.MailFlowPolicy;
import dev.mailflow.policy.PolicyRepository;
import dev.mailflow.policy.explain.ExplainRequest;
import dev.mailflow.policy.explain.Explainer;
import dev.mailflow.policy.explain.HypotheticalMessage;
import spark.Request;
import spark.Response;
import spark.Service;

/**
 * The policy in force, over HTTP and under the administration's password.
 *
 * <ul>
 *   <li>{@code POST /mailflow/explain} takes an {@link ExplainRequest} and answers as {@code mailflow explain --json}
 *       does, but knows the users of this gateway.
 *   <li>{@code GET /mailflow/policy} tells version, source and age of the policy in force, and why a newer one is not.
 * </ul>
 */
public final class MailFlowRoutes implements Routes {
    private static final String BASE = "/mailflow";

    private final PolicyRepository policies;
    private final MailboxDirectories mailboxes;
    private final Clock clock;

    @Inject
    public MailFlowRoutes(PolicyRepository policies, MailboxDirectories mailboxes, Clock clock) {
        this.policies = policies;
        this.mailboxes = mailboxes;
        this.clock = clock;
    }

    @Override
    public String getBasePath() {
        return BASE;
    }

    @Override
    public void define(Service service) {
        service.post(BASE + "/explain", this::explain);
        service.get(BASE + "/policy", this::policy);
    }

    private String explain(Request request, Response response) {
        MailFlowPolicy policy = policies.current();
        HypotheticalMessage message;
        try {
            message = ExplainRequest.fromJson(request.body()).message();
        } catch (IllegalArgumentException e) {
            throw ErrorResponder.builder()
                    .statusCode(HttpStatus.BAD_REQUEST_400)
                    .type(ErrorResponder.ErrorType.INVALID_ARGUMENT)
                    .message(e.getMessage())
                    .haltError();
        }
        return new Explainer(policy, clock.instant(), mailboxes.of(policy))
                .explain(message)
                .toJson()
                .toString();
    }

    private String policy(Request request, Response response) {
        MailFlowPolicy policy = policies.current();
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("version", policy.version());
        json.put("source", policy.source());
        json.put("loadedAt", policy.loadedAt().toString());
        ArrayNode problems = json.putArray("pendingProblems");
        policies.pendingProblems().forEach(problem -> problems.add(problem.toString()));
        return json.toString();
    }
}
