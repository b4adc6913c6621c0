/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.inbound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HopCountTest {
    private static final String OURS =
            "from x (EHLO x) ([192.0.2.1])\r\n          by mx.contoso.com (JAMES) with ESMTP";
    private static final String THEIRS = "from mx.contoso.com (by mx.contoso.com) by other.example with ESMTP; date";

    @ParameterizedTest
    @CsvSource({"0,1,false", "28,1,false", "29,1,false", "30,1,true", "35,1,true", "0,8,false", "0,9,true", "20,9,true"
    })
    void objectionShouldFollowTheLimits(int theirs, int ours, boolean refused) {
        List<String> received = new ArrayList<>(Collections.nCopies(theirs, THEIRS));
        received.addAll(Collections.nCopies(ours, OURS));

        assertThat(HopCount.DEFAULT.objectionTo(received, "MX.contoso.com").isPresent())
                .isEqualTo(refused);
    }

    @Test
    void limitsShouldBePositive() {
        assertThatThrownBy(() -> new HopCount(0, 8))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0");
    }
}
