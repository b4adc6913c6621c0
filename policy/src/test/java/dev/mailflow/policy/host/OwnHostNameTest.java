/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OwnHostNameTest {
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private static InetAddress find(Callable<InetAddress> system, String... selfCalled) {
        return OwnHostName.find(system, () -> List.of(selfCalled), PATIENCE);
    }

    private static InetAddress unknown() throws UnknownHostException {
        throw new UnknownHostException("mx: mx: Temporary failure in name resolution");
    }

    @ParameterizedTest
    @CsvSource(
            textBlock =
                    """
                    # host,            canonical,              name
                    mx,                mx.contoso.com,         mx.contoso.com
                    mx.contoso.com,    host-7.isp.example,     host-7.isp.example
                    mx,                mx,                     mx
                    mx,                localhost,              mx
                    mx,                localhost.localdomain,  mx
                    mx,                10.0.0.7,               mx
                    mx.contoso.com,    fe80:0:0:0:0:0:0:7,     mx.contoso.com
                    mx,                'mx;.contoso.com',      mx
                    """)
    void nameShouldBeTheQualifiedOneThatTheAddressHas(String host, String canonical, String name) {
        assertThat(OwnHostName.name(host, canonical)).isEqualTo(name);
    }

    @Test
    void whatTheSystemKnowsShouldBeItsOwn() throws Exception {
        InetAddress known = InetAddress.getByAddress("mx.contoso.com", new byte[] {10, 0, 0, 7});

        assertThat(find(() -> known, "mx")).isSameAs(known);
    }

    @ParameterizedTest
    @CsvSource(
            textBlock =
                    """
                    # kernel,             environment,      name
                    'mx\n',               other,            mx
                    mx.contoso.com,       other,            mx.contoso.com
                    mail_1,               other,            mail_1
                    (none),               mx,               mx
                    '',                   mx,               mx
                    -mx,                  mx.,              localhost
                    'mx\r\nX: y',         '',               localhost
                    """)
    void hostThatNobodyKnowsShouldBeCalledAsItCallsItself(String kernel, String environment, String name) {
        InetAddress found = find(OwnHostNameTest::unknown, kernel, environment);

        assertThat(found.getHostName()).isEqualTo(name);
        assertThat(found.isLoopbackAddress()).isTrue();
    }

    @Test
    void silentNameServerShouldBeWaitedForNoLongerThanPatienceAllows() {
        CountDownLatch never = new CountDownLatch(1);

        InetAddress found = OwnHostName.find(
                () -> {
                    never.await();
                    return InetAddress.getLoopbackAddress();
                },
                () -> List.of("mx"),
                Duration.ofMillis(1));

        assertThat(found.getHostName()).isEqualTo("mx");
    }

    @Test
    void thisHostShouldHaveAName() {
        assertThat(OwnHostName.get()).isNotEmpty().doesNotContain(" ");
        assertThat(OwnHostName.address().getHostName()).isEqualTo(OwnHostName.get());
    }
}
