/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.delivery.tlsrpt;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.annotation.JsonAutoDetect.Visibility;

/**
 * What is counted for one mail domain on one day, and to whom it has been reported. Not thread-safe. Bounded: what is too
 * much is counted without its details.
 */
@JsonAutoDetect(
        fieldVisibility = Visibility.ANY,
        getterVisibility = Visibility.NONE,
        isGetterVisibility = Visibility.NONE)
final class DailySheet {
    private static final int MOST_POLICIES = 20;
    private static final int MOST_FAILURES = 100;

    private final List<PolicySheet> policies = new ArrayList<>();
    /** Where the report has arrived. */
    private final Set<String> reportedTo = new LinkedHashSet<>();
    /** Seconds since 1970; the next time a report is tried. */
    private long nextTry;

    /** The sessions under one policy. */
    @JsonAutoDetect(
            fieldVisibility = Visibility.ANY,
            getterVisibility = Visibility.NONE,
            isGetterVisibility = Visibility.NONE)
    static final class PolicySheet {
        private String type = "";
        private List<String> text = List.of();
        private List<String> mxHosts = List.of();
        private long successes;
        private final List<FailureCount> failures = new ArrayList<>();

        String type() {
            return type;
        }

        List<String> text() {
            return text;
        }

        List<String> mxHosts() {
            return mxHosts;
        }

        long successes() {
            return successes;
        }

        long failed() {
            return failures.stream().mapToLong(each -> each.count).sum();
        }

        List<FailureCount> failures() {
            return failures;
        }

        private PolicySheet copy() {
            PolicySheet copy = new PolicySheet();
            copy.type = type;
            copy.text = text;
            copy.mxHosts = mxHosts;
            copy.successes = successes;
            failures.forEach(each -> copy.failures.add(each.copy()));
            return copy;
        }

        private boolean isOf(TlsSession.Policy policy) {
            return type.equals(policy.type()) && text.equals(policy.text()) && mxHosts.equals(policy.mxHosts());
        }
    }

    /** Failures of one kind. */
    @JsonAutoDetect(
            fieldVisibility = Visibility.ANY,
            getterVisibility = Visibility.NONE,
            isGetterVisibility = Visibility.NONE)
    static final class FailureCount {
        private String result = "";
        private String mxHost = "";
        private String address = "";
        private String ourAddress = "";
        private String detail = "";
        private long count;

        String result() {
            return result;
        }

        /** Empty: it never came to a host. */
        String mxHost() {
            return mxHost;
        }

        /** Empty: not known. */
        String address() {
            return address;
        }

        /** Empty: not known. */
        String ourAddress() {
            return ourAddress;
        }

        /** Of the first one; empty: none. */
        String detail() {
            return detail;
        }

        long count() {
            return count;
        }

        private FailureCount copy() {
            FailureCount copy = new FailureCount();
            copy.result = result;
            copy.mxHost = mxHost;
            copy.address = address;
            copy.ourAddress = ourAddress;
            copy.detail = detail;
            copy.count = count;
            return copy;
        }
    }

    /** One that stays as it is now. */
    DailySheet copy() {
        DailySheet copy = new DailySheet();
        policies.forEach(each -> copy.policies.add(each.copy()));
        copy.reportedTo.addAll(reportedTo);
        copy.nextTry = nextTry;
        return copy;
    }

    void count(TlsSession session) {
        PolicySheet sheet = sheet(session.policy());
        if (session.fault().isEmpty()) {
            sheet.successes++;
            return;
        }
        String result = session.fault().get().toString();
        boolean full = sheet.failures.size() >= MOST_FAILURES;
        String host = full ? "" : session.mxHost().orElse("");
        String address = full ? "" : session.address().orElse("");
        String ourAddress = full ? "" : session.ourAddress().orElse("");
        Optional<FailureCount> known = sheet.failures.stream()
                .filter(each -> each.result.equals(result)
                        && each.mxHost.equals(host)
                        && each.address.equals(address)
                        && each.ourAddress.equals(ourAddress))
                .findFirst();
        FailureCount failure = known.orElseGet(() -> {
            FailureCount fresh = new FailureCount();
            fresh.result = result;
            fresh.mxHost = host;
            fresh.address = address;
            fresh.ourAddress = ourAddress;
            fresh.detail = full ? "" : session.detail().orElse("");
            sheet.failures.add(fresh);
            return fresh;
        });
        failure.count++;
    }

    private PolicySheet sheet(TlsSession.Policy policy) {
        TlsSession.Policy counted =
                policies.size() < MOST_POLICIES || policies.stream().anyMatch(each -> each.isOf(policy))
                        ? policy
                        : TlsSession.Policy.NONE;
        return policies.stream().filter(each -> each.isOf(counted)).findFirst().orElseGet(() -> {
            PolicySheet fresh = new PolicySheet();
            fresh.type = counted.type();
            fresh.text = counted.text();
            fresh.mxHosts = counted.mxHosts();
            policies.add(fresh);
            return fresh;
        });
    }

    List<PolicySheet> policies() {
        return policies;
    }

    boolean isReportedTo(String destination) {
        return reportedTo.contains(destination);
    }

    void reportedTo(String destination) {
        reportedTo.add(destination);
    }

    long nextTry() {
        return nextTry;
    }

    void nextTry(long epochSecond) {
        nextTry = epochSecond;
    }
}
