/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.database;

import java.util.concurrent.atomic.AtomicLong;

import org.apache.james.rrt.api.RecipientRewriteTableException;
import org.apache.james.rrt.jpa.JPARecipientRewriteTable;
import org.apache.james.rrt.lib.Mapping;
import org.apache.james.rrt.lib.MappingSource;
import org.apache.james.rrt.lib.Mappings;

import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;

/**
 * James's table of aliases, groups and forwards, which remembers what it read: every recipient of every mail is looked up
 * there, twice, and a query costs more than all the rest of a mail's processing. All changes come through this table, for
 * one gateway owns the database.
 */
final class RememberedRewriteTable extends JPARecipientRewriteTable {
    /** About 200 bytes each, most of them of addresses that have no mapping. */
    private static final int MOST_REMEMBERED = 50_000;

    private final Cache<MappingSource, Mappings> remembered =
            CacheBuilder.newBuilder().maximumSize(MOST_REMEMBERED).build();
    private final AtomicLong changes = new AtomicLong();

    @Override
    public Mappings getStoredMappings(MappingSource source) throws RecipientRewriteTableException {
        Mappings known = remembered.getIfPresent(source);
        if (known != null) {
            return known;
        }
        long before = changes.get();
        Mappings read = super.getStoredMappings(source);
        synchronized (remembered) {
            // what was read before a change must not be remembered after it
            if (changes.get() == before) {
                remembered.put(source, read);
            }
        }
        return read;
    }

    @Override
    public void addMapping(MappingSource source, Mapping mapping) throws RecipientRewriteTableException {
        try {
            super.addMapping(source, mapping);
        } finally {
            forget();
        }
    }

    @Override
    public void removeMapping(MappingSource source, Mapping mapping) throws RecipientRewriteTableException {
        try {
            super.removeMapping(source, mapping);
        } finally {
            forget();
        }
    }

    private void forget() {
        synchronized (remembered) {
            changes.incrementAndGet();
            remembered.invalidateAll();
        }
    }
}
