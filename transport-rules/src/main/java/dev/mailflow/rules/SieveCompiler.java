/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

import dev.mailflow.policy.PolicyProblem;
import dev.mailflow.policy.rule.RuleCompiler;
import dev.mailflow.policy.rule.RuleScript;
import dev.mailflow.rules.syntax.Call;
import dev.mailflow.rules.syntax.ScriptReader;
import dev.mailflow.rules.syntax.SyntaxException;

/**
 * Compiles Sieve (RFC 5228 and the extensions of mail-flow behaviour, section 6). The parser of Apache jSieve makes the
 * tree; it is turned into conditions and steps in which everything that can be decided without a message is decided:
 * strings are hashed, expressions compiled, lists read, branches that cannot be taken left out. All mistakes are told, but
 * for what follows a text that is no Sieve at all.
 *
 * <p>An administrator sees {@code fax.sieve:3: error: rule 'Faxes', column 7: …}.
 */
public final class SieveCompiler implements RuleCompiler {

    @Override
    public Optional<RuleScript> compile(Source source, Lists lists, Consumer<PolicyProblem> problems) {
        Compilation compilation = new Compilation(source, lists, problems);
        List<Call> commands;
        try {
            commands = ScriptReader.read(source.text(), compilation::error);
        } catch (SyntaxException e) {
            compilation.error(e.at(), e.getMessage());
            return Optional.empty();
        }
        StepCompiler compiler = new StepCompiler(compilation);
        Step.Block block = compiler.script(commands);
        if (compilation.failed()) {
            return Optional.empty();
        }
        Optional<String> why = block.acts()
                ? Optional.empty()
                : compiler.never().or(() -> Optional.of("the script has no command that does anything"));
        return Optional.of(new CompiledScript(
                block,
                compilation.variables(),
                compilation.dependsOnRecipient(),
                new RuleScript.Inspection(
                        compilation.connectors(), compilation.extensions(), !block.acts(), block.stops(), why),
                source.start()));
    }
}
