/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.hybrid;

/** Hybrid policies for tests: what a test does not change is as the contract's example has it. */
public final class HybridPolicies {
    private HybridPolicies() {}

    /** The topology of tests: the cloud is known by its certificate, both connectors preserve internal headers. */
    public static String topology(String type, String settings) {
        return """
                <acceptedDomains><domain type="%s">contoso.com</domain></acceptedDomains>
                <inboundConnectors>
                  <inboundConnector name="partner-in" type="partner">
                    <senderDomain>fabrikam.com</senderDomain>
                    <requireTls>false</requireTls>
                  </inboundConnector>
                  <inboundConnector name="cloud-in" type="organization">
                    <clientCertificate name="mail.cloud.example" trust="ca"/>
                    <internalHeaders>preserve</internalHeaders>
                  </inboundConnector>
                </inboundConnectors>
                <outboundConnectors>
                  <outboundConnector name="cloud-out" type="organization">
                    <recipientDomain>contoso.mail.onmicrosoft.com</recipientDomain>
                    <smartHost>mail.cloud.example:2525</smartHost>
                    <tls level="encrypt"/>
                    <internalHeaders>preserve</internalHeaders>
                  </outboundConnector>
                </outboundConnectors>
                <hybrid>
                  <sharedDomain>contoso.com</sharedDomain>
                  <remoteRoutingDomain>contoso.mail.onmicrosoft.com</remoteRoutingDomain>
                  <cloud inboundConnector="cloud-in" outboundConnector="cloud-out"/>
                  %s
                </hybrid>
                """
                .formatted(type, settings);
    }
}
