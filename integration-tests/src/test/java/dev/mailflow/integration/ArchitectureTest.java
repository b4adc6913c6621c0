/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.integration;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Keeps the module table of the architecture true. */
@AnalyzeClasses(packages = "dev.mailflow", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

    @ArchTest
    static final ArchRule MODULES = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.mailflow..")
            .layer("policy")
            .definedBy("dev.mailflow.policy..")
            .layer("transport-rules")
            .definedBy("dev.mailflow.rules..")
            .layer("directory")
            .definedBy("dev.mailflow.directory..")
            .layer("delivery")
            .definedBy("dev.mailflow.delivery..")
            .layer("smtp-hooks")
            .definedBy("dev.mailflow.hooks..")
            .layer("matchers")
            .definedBy("dev.mailflow.matchers..")
            .layer("mailets")
            .definedBy("dev.mailflow.mailets..")
            .layer("cli")
            .definedBy("dev.mailflow.cli..")
            .layer("gateway")
            .definedBy("dev.mailflow.gateway..")
            .whereLayer("policy")
            .mayNotAccessAnyLayer()
            .whereLayer("transport-rules")
            .mayOnlyAccessLayers("policy")
            .whereLayer("directory")
            .mayOnlyAccessLayers("policy")
            .whereLayer("delivery")
            .mayOnlyAccessLayers("policy")
            .whereLayer("smtp-hooks")
            .mayOnlyAccessLayers("policy", "directory")
            .whereLayer("matchers")
            .mayOnlyAccessLayers("policy", "directory")
            .whereLayer("mailets")
            .mayOnlyAccessLayers("policy", "transport-rules", "directory", "delivery")
            .whereLayer("cli")
            .mayOnlyAccessLayers("policy", "transport-rules", "delivery")
            .whereLayer("gateway")
            .mayOnlyAccessLayers("policy", "directory", "smtp-hooks", "delivery");

    @ArchTest
    static final ArchRule POLICY_KNOWS_NOTHING_OF_THE_SERVER = noClasses()
            .that()
            .resideInAPackage("dev.mailflow.policy..")
            .should()
            .dependOnClassesThat(
                    new com.tngtech.archunit.base.DescribedPredicate<com.tngtech.archunit.core.domain.JavaClass>(
                            "are of James, but neither james-core's types nor its file system") {
                        @Override
                        public boolean test(com.tngtech.archunit.core.domain.JavaClass type) {
                            return (type.getPackageName().startsWith("org.apache.james")
                                            && !type.getPackageName().equals("org.apache.james.core")
                                            && !type.getPackageName().equals("org.apache.james.filesystem.api"))
                                    || type.getPackageName().startsWith("org.apache.mailet");
                        }
                    });

    @ArchTest
    static final ArchRule NO_POCKETS_FOR_EVERYTHING = noClasses()
            .should()
            .resideInAnyPackage("..util..", "..common..", "..impl..")
            .orShould()
            .haveNameMatching(".*(Manager|Helper|Util|Utils|Impl)$");
}
