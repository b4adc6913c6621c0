/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.host;

import java.net.InetAddress;

import org.apache.james.dnsservice.dnsjava.DNSJavaService;
import org.apache.james.metrics.api.MetricFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

import dev.mailflow.policy.host.OwnHostName;

/**
 * James's DNS client, which knows what this host is called and asks nobody for it. James's own does not start where the
 * system does not know.
 */
@Singleton
final class OwnNameDns extends DNSJavaService {

    @Inject
    OwnNameDns(MetricFactory metrics) {
        super(metrics);
    }

    @Override
    public InetAddress getLocalHost() {
        return OwnHostName.address();
    }

    @Override
    public String getHostName(InetAddress address) {
        return address.equals(OwnHostName.address()) ? OwnHostName.get() : super.getHostName(address);
    }
}
