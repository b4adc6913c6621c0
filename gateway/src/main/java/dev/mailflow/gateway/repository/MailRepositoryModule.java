/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.gateway.repository;

import java.util.List;

import org.apache.commons.configuration2.BaseHierarchicalConfiguration;
import org.apache.james.mailrepository.api.Protocol;
import org.apache.james.mailrepository.memory.MailRepositoryStoreConfiguration;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;

/** Mail repositories are directories below the data directory, unless {@code mailrepositorystore.xml} says more. */
public final class MailRepositoryModule extends AbstractModule {
    @Provides
    MailRepositoryStoreConfiguration.Item directories() {
        return new MailRepositoryStoreConfiguration.Item(
                List.of(new Protocol("file")),
                DirectoryMailRepository.class.getName(),
                new BaseHierarchicalConfiguration());
    }
}
