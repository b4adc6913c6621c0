/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.policy.rewrite;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;

import com.code_intelligence.jazzer.junit.FuzzTest;

import dev.mailflow.policy.header.HeaderSection;

/**
 * Header blocks of whatever bytes: no exception, no hang, nothing changed but addresses, and nothing more by a second pass.
 * An ordinary run repeats the inputs beside this class; with {@code JAZZER_FUZZ=1} in the environment Jazzer looks for new
 * ones, guided by the branches they take, and leaves what fails among them.
 */
class HeaderRewritingFuzzTest {
    private static final int LONGEST = 16_384;

    @FuzzTest(maxDuration = "20s")
    void anyHeaderBlockShouldKeepEverythingButAddresses(byte[] input) throws IOException {
        if (input.length == 0 || input.length > LONGEST) {
            return;
        }
        Direction direction = (input[0] & 1) == 0 ? Direction.OUTBOUND : Direction.INBOUND;
        byte[] block = Arrays.copyOfRange(input, 1, input.length);

        AddressRewritingProperties.assertThatOnlyAddressesChangeAndOnlyOnce(
                HeaderSection.read(new ByteArrayInputStream(block)), direction);
    }
}
