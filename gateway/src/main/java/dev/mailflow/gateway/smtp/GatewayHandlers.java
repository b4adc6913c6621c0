/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.smtp;

import java.util.List;
import java.util.Map;

import org.apache.james.smtpserver.CoreCmdHandlerLoader;
import org.apache.james.smtpserver.DataLineJamesMessageHookHandler;
import org.apache.james.smtpserver.JamesDataCmdHandler;

import com.google.common.collect.ImmutableList;

/** What every SMTP server of the gateway has, whatever its handler chain names: James's handlers and ours. */
public final class GatewayHandlers extends CoreCmdHandlerLoader {
    /** In the places of James's. */
    private static final Map<String, String> OURS = Map.of(
            JamesDataCmdHandler.class.getName(), ReceiveData.class.getName(),
            DataLineJamesMessageHookHandler.class.getName(), ReceiveLines.class.getName());

    @Override
    public List<String> getHandlers() {
        // before James's own, which would put the mail into the queue
        return ImmutableList.<String>builder()
                .add(QueueTroubleHook.class.getName())
                .addAll(super.getHandlers().stream()
                        .map(handler -> OURS.getOrDefault(handler, handler))
                        .toList())
                .build();
    }
}
