/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.queue;

import java.io.File;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

import javax.annotation.PreDestroy;

import org.apache.activemq.ActiveMQConnectionFactory;
import org.apache.activemq.ActiveMQPrefetchPolicy;
import org.apache.activemq.RedeliveryPolicy;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.broker.region.Destination;
import org.apache.activemq.broker.region.policy.PolicyEntry;
import org.apache.activemq.broker.region.policy.PolicyMap;
import org.apache.activemq.command.ActiveMQQueue;
import org.apache.activemq.store.kahadb.KahaDBPersistenceAdapter;
import org.apache.activemq.store.kahadb.disk.journal.Journal.JournalDiskSyncStrategy;
import org.apache.activemq.usage.SystemUsage;
import org.apache.james.filesystem.api.FileSystem;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.google.inject.Inject;
import com.google.inject.Singleton;

/**
 * The ActiveMQ broker inside this process that keeps every mail queue in one KahaDB journal.
 *
 * <p>Its one promise: once a send returns, the message survives the death of the process and of the machine. So the
 * journal is forced to disk before a send is answered (concurrent sends share one such write), nothing is dispatched
 * before it is stored, and a send that finds no room fails instead of waiting. It listens on no network port, and its
 * name is its own, so that several brokers can live in one process.
 */
@Singleton
public final class EmbeddedBroker {
    private static final Logger LOGGER = LoggerFactory.getLogger(EmbeddedBroker.class);
    private static final String STORE = "file://var/queue";

    /** Above the largest message worth accepting, so that each fits one journal file. */
    private static final int JOURNAL_FILE_BYTES = 64 * 1024 * 1024;

    /** Share of the heap that messages being dispatched may take; the rest of a queue stays on disk. */
    private static final int HEAP_PERCENT = 40;

    /** Share of the disk space free at start that queues may take. */
    private static final int DISK_PERCENT = 95;

    /** Nothing here is temporary; the broker wants a limit all the same. */
    private static final long TEMPORARY_BYTES = 64 * 1024 * 1024;

    /** How far into a queue a removal by sender, recipient or name looks at a time. */
    private static final int PAGE_SIZE = 20_000;

    private final BrokerService broker;
    private final ActiveMQConnectionFactory connectionFactory;

    @Inject
    public EmbeddedBroker(FileSystem fileSystem) throws Exception {
        File directory = fileSystem.getFile(STORE);
        broker = new BrokerService();
        broker.setBrokerName("mailflow-" + UUID.randomUUID());
        broker.setDataDirectoryFile(directory);
        broker.setPersistenceAdapter(journal(directory));
        broker.setUseJmx(false);
        broker.setUseShutdownHook(false);
        broker.setAdvisorySupport(false);
        broker.setSchedulerSupport(false);
        broker.setDestinationPolicy(policy());
        limit(broker.getSystemUsage(), directory);
        broker.start();
        broker.waitUntilStarted();
        connectionFactory = new ActiveMQConnectionFactory(broker.getVmConnectorURI() + "?create=false");
        connectionFactory.setWatchTopicAdvisories(false);
        connectionFactory.setTrustAllPackages(false);
        connectionFactory.setTrustedPackages(List.of());
        // a message handed to a consumer ahead of time would be invisible to the others until its connection closes
        ActiveMQPrefetchPolicy none = new ActiveMQPrefetchPolicy();
        none.setAll(0);
        connectionFactory.setPrefetchPolicy(none);
        // the broker's dead letter queue is a place where nobody looks for mail
        connectionFactory.getRedeliveryPolicy().setMaximumRedeliveries(RedeliveryPolicy.NO_MAXIMUM_REDELIVERIES);
        LOGGER.info("event=queue-open directory={}", directory);
    }

    private static KahaDBPersistenceAdapter journal(File directory) {
        KahaDBPersistenceAdapter journal = new KahaDBPersistenceAdapter();
        journal.setDirectory(directory);
        journal.setJournalDiskSyncStrategy(JournalDiskSyncStrategy.ALWAYS.name());
        journal.setConcurrentStoreAndDispatchQueues(false);
        journal.setJournalMaxFileLength(JOURNAL_FILE_BYTES);
        journal.setChecksumJournalFiles(true);
        journal.setCheckForCorruptJournalFiles(true);
        return journal;
    }

    private static PolicyMap policy() {
        PolicyEntry entry = new PolicyEntry();
        entry.setQueue(">");
        entry.setMaxPageSize(PAGE_SIZE);
        entry.setMaxBrowsePageSize(Integer.MAX_VALUE);
        entry.setProducerFlowControl(false);
        PolicyMap map = new PolicyMap();
        map.setDefaultEntry(entry);
        return map;
    }

    private static void limit(SystemUsage usage, File directory) {
        usage.getMemoryUsage().setPercentOfJvmHeap(HEAP_PERCENT);
        usage.getStoreUsage().setLimit((directory.getUsableSpace() + bytesIn(directory)) / 100 * DISK_PERCENT);
        usage.getTempUsage().setLimit(TEMPORARY_BYTES);
        usage.setSendFailIfNoSpace(true);
    }

    private static long bytesIn(File directory) {
        File[] files = directory.listFiles(File::isFile);
        return files == null ? 0 : Arrays.stream(files).mapToLong(File::length).sum();
    }

    /** Connections to this broker, in process. */
    public ActiveMQConnectionFactory connectionFactory() {
        return connectionFactory;
    }

    /** How many messages the queue holds, those being processed included. */
    long size(String queue) throws Exception {
        Destination destination = broker.getDestination(new ActiveMQQueue(queue));
        return destination.getDestinationStatistics().getMessages().getCount();
    }

    @PreDestroy
    public void close() throws Exception {
        broker.stop();
        broker.waitUntilStopped();
        LOGGER.info("event=queue-closed");
    }
}
