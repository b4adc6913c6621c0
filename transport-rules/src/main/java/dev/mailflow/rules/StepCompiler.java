/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.rules.Step.Flow;
import dev.mailflow.rules.match.Match;
import dev.mailflow.rules.message.HeaderEdit;
import dev.mailflow.rules.message.IndexedField;
import dev.mailflow.rules.message.MimePart;
import dev.mailflow.rules.message.MimeStructure;
import dev.mailflow.rules.syntax.Argument;
import dev.mailflow.rules.syntax.Call;

/** Turns commands into steps. Branches that no message can take are left out. */
final class StepCompiler {
    /** RFC 5293 section 6: attempts to delete them are ignored. */
    private static final Set<String> PROTECTED = Set.of("received", "auto-submitted");

    /** Characters of the reason of a rejection. */
    private static final int MAX_REASON = 4_096;

    private static final List<String> KNOWN = List.of(
            "addheader",
            "addrecipient",
            "bcc",
            "break",
            "deleteheader",
            "discard",
            "else",
            "elsif",
            "ereject",
            "error",
            "foreverypart",
            "if",
            "keep",
            "prependsubject",
            "quarantine",
            "redirect",
            "reject",
            "require",
            "requiretls",
            "route",
            "set",
            "setscl",
            "stop");

    private final Compilation compilation;
    private final TestCompiler tests;
    private Optional<String> never = Optional.empty();

    StepCompiler(Compilation compilation) {
        this.compilation = compilation;
        this.tests = new TestCompiler(compilation);
    }

    /** Why a branch is never taken, when there is one. */
    Optional<String> never() {
        return never;
    }

    /** The whole script; requirements come first (RFC 5228 section 3.2). */
    Step.Block script(List<Call> commands) {
        int first = 0;
        while (first < commands.size() && commands.get(first).name().equals("require")) {
            require(commands.get(first));
            first++;
        }
        return block(commands.subList(first, commands.size()));
    }

    private void require(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Strings> names = arguments.strings("names of extensions");
        arguments.end();
        for (Argument.Item item : names.map(Argument.Strings::items).orElse(List.of())) {
            Optional<Extension> extension = Extension.named(item.text());
            if (extension.isPresent()) {
                compilation.require(extension.get());
            } else {
                compilation.error(
                        item.at(),
                        Extension.alternative(item.text())
                                .map(instead -> "the extension '" + item.text()
                                        + "' means nothing in a transport rule; " + instead)
                                .orElseGet(() -> "unsupported extension '" + Compilation.shortened(item.text())
                                        + "', expected one of " + Extension.known()));
            }
        }
    }

    private Step.Block block(List<Call> commands) {
        List<Step> steps = new ArrayList<>();
        boolean acts = false;
        boolean ends = false;
        boolean stops = false;
        boolean warned = false;
        for (int i = 0; i < commands.size(); i++) {
            Call call = commands.get(i);
            if (ends && !warned) {
                compilation.warning(call.at(), "'" + call.name() + "' is never reached");
                warned = true;
            }
            Step.Block one;
            if (call.name().equals("if")) {
                int end = i + 1;
                while (end < commands.size()
                        && Set.of("elsif", "else").contains(commands.get(end).name())) {
                    end++;
                    if (commands.get(end - 1).name().equals("else")) {
                        break;
                    }
                }
                one = branches(commands.subList(i, end));
                i = end - 1;
            } else {
                one = command(call);
            }
            if (!ends) {
                steps.addAll(one.steps());
                acts |= one.acts();
                ends = one.ends();
                stops = one.stops();
            }
        }
        return new Step.Block(steps, acts, ends, stops);
    }

    private record Branch(Condition condition, Step.Block block) {}

    /** An if with its elsifs and else (RFC 5228 section 3.1). */
    private Step.Block branches(List<Call> calls) {
        List<Branch> open = new ArrayList<>();
        boolean decided = false;
        boolean acts = false;
        boolean ends = true;
        boolean stops = true;
        List<Condition> asked = new ArrayList<>();
        for (Call call : calls) {
            Condition condition = call.name().equals("else") ? otherwise(call) : condition(call);
            Optional<Boolean> constant = condition.constant();
            // what asks for an extension that is not there may use it (RFC 5463 section 4)
            boolean skipped = constant.equals(Optional.of(false)) && mentions(call.tests(), "ihave");
            Step.Block block = skipped ? Step.Block.EMPTY : block(body(call));
            asked.add(condition);
            if (decided || constant.equals(Optional.of(false))) {
                if (!decided && !skipped && never.isEmpty()) {
                    never = Optional.of("the test of '" + Compilation.shortened(call.text()) + "' in line "
                            + call.at().line() + " is never true");
                }
                continue;
            }
            open.add(new Branch(condition, block));
            acts |= block.acts();
            ends &= block.ends();
            stops &= block.stops();
            decided = constant.equals(Optional.of(true));
        }
        Branch[] branches = open.toArray(Branch[]::new);
        List<Condition> all = List.copyOf(asked);
        Step step = run -> {
            if (run.isTraced() && branches.length == 0) {
                for (Condition condition : all) {
                    condition.holds(run);
                }
            }
            for (Branch branch : branches) {
                if (branch.condition().holds(run)) {
                    return branch.block().run(run);
                }
            }
            return Flow.NEXT;
        };
        return new Step.Block(List.of(step), acts, decided && ends, decided && stops);
    }

    private static boolean mentions(List<Call> calls, String name) {
        return calls.stream().anyMatch(call -> call.name().equals(name) || mentions(call.tests(), name));
    }

    private Condition condition(Call call) {
        new Arguments(compilation, call).endOfArguments();
        if (call.tests().size() != 1 || call.listed()) {
            compilation.error(
                    call.at(), "'" + call.name() + "' expects one test; join several with 'allof' or 'anyof'");
            call.tests().forEach(tests::compile);
            return Condition.FALSE;
        }
        return tests.compile(call.tests().get(0));
    }

    private Condition otherwise(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        arguments.endOfArguments();
        arguments.noTests();
        return Condition.TRUE;
    }

    private List<Call> body(Call call) {
        if (call.block().isEmpty()) {
            compilation.error(call.at(), "'" + call.name() + "' expects commands in braces");
        }
        return call.block().orElse(List.of());
    }

    private static Step.Block one(Step step) {
        return new Step.Block(List.of(step), true, false, false);
    }

    /** A command that changes nothing by itself. */
    private static Step.Block silent(Step step) {
        return new Step.Block(List.of(step), false, false, false);
    }

    private Step.Block action(Call call, RuleAction action) {
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            run.act(where, action);
            return Flow.NEXT;
        });
    }

    private Step.Block needing(Extension extension, Call call, java.util.function.Function<Call, Step.Block> compile) {
        compilation.needs(extension, call.at(), "'" + call.name() + "'");
        return compile.apply(call);
    }

    private Step.Block command(Call call) {
        return switch (call.name()) {
            case "keep" -> {
                new Arguments(compilation, call).end();
                yield action(call, new RuleAction.Keep());
            }
            case "discard" -> {
                new Arguments(compilation, call).end();
                yield action(call, new RuleAction.Discard());
            }
            case "stop" -> {
                new Arguments(compilation, call).end();
                yield new Step.Block(
                        List.of(run -> {
                            run.stop();
                            return Flow.STOP;
                        }),
                        true,
                        true,
                        true);
            }
            case "redirect" -> redirect(call);
            case "reject" -> needing(Extension.REJECT, call, this::reject);
            case "ereject" -> needing(Extension.EREJECT, call, this::reject);
            case "addheader" -> needing(Extension.EDITHEADER, call, this::addHeader);
            case "deleteheader" -> needing(Extension.EDITHEADER, call, this::deleteHeader);
            case "set" -> needing(Extension.VARIABLES, call, this::set);
            case "error" -> needing(Extension.IHAVE, call, this::error);
            case "foreverypart" -> needing(Extension.FOREVERYPART, call, this::forEveryPart);
            case "break" -> needing(Extension.FOREVERYPART, call, this::leave);
            case "route" -> needing(Extension.MAILFLOW, call, this::route);
            case "requiretls" -> needing(Extension.MAILFLOW, call, this::requireTls);
            case "setscl" -> needing(Extension.MAILFLOW, call, this::setScl);
            case "bcc" -> needing(Extension.MAILFLOW, call, this::bcc);
            case "addrecipient" -> needing(Extension.MAILFLOW, call, this::addRecipient);
            case "quarantine" -> needing(Extension.MAILFLOW, call, this::quarantine);
            case "prependsubject" -> needing(Extension.MAILFLOW, call, this::prependSubject);
            case "require" -> {
                compilation.error(call.at(), "found 'require' after other commands, expected it to come first");
                require(call);
                yield Step.Block.EMPTY;
            }
            case "elsif", "else" -> {
                compilation.error(call.at(), "found '" + call.name() + "' without an 'if' before it");
                yield Step.Block.EMPTY;
            }
            default -> unknown(call);
        };
    }

    private Step.Block unknown(Call call) {
        Optional<String> instead =
                switch (call.name()) {
                    case "setflag", "addflag", "removeflag" -> Extension.alternative("imap4flags");
                    case "return", "global" -> Extension.alternative("include");
                    case "denotify" -> Extension.alternative("notify");
                    default -> Extension.alternative(call.name());
                };
        compilation.error(
                call.at(),
                instead.map(text -> "'" + call.name() + "' is not allowed in a transport rule; " + text)
                        .orElseGet(() -> "unknown command '" + Compilation.shortened(call.name()) + "'"
                                + Similar.to(call.name(), KNOWN)));
        call.block().ifPresent(this::block);
        return Step.Block.EMPTY;
    }

    /** Takes one mail address; one with variables is looked at on each run. */
    private Optional<Text> address(Arguments arguments) {
        Optional<Argument.Item> item = arguments.string("a mail address");
        return item.map(compilation::text).filter(text -> isGood(item.get(), text));
    }

    private boolean isGood(Argument.Item item, Text text) {
        Optional<String> constant = text.constant();
        if (constant.isPresent() && Compilation.address(constant.get()).isEmpty()) {
            compilation.error(
                    item.at(),
                    "found '" + Compilation.shortened(constant.get())
                            + "', expected a mail address (\"joe@contoso.com\")");
            return false;
        }
        return true;
    }

    /** Acts with an address that is known now, or is found when the script runs. */
    private Step.Block withAddress(
            Call call, Optional<Text> text, java.util.function.Function<MailAddress, RuleAction> action) {
        if (text.isEmpty()) {
            return Step.Block.EMPTY;
        }
        Optional<String> constant = text.get().constant();
        if (constant.isPresent()) {
            return action(call, action.apply(Compilation.address(constant.get()).orElseThrow()));
        }
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            run.act(where, action.apply(address(where, text.get().in(run))));
            return Flow.NEXT;
        });
    }

    private static MailAddress address(SourceLocation where, String text) throws RuleScriptException {
        return Compilation.address(text)
                .orElseThrow(() -> new RuleScriptException(
                        where, "found '" + Compilation.shortened(text) + "', expected a mail address"));
    }

    private Step.Block redirect(Call call) {
        Arguments arguments = new Arguments(
                compilation,
                call,
                Arguments.Tag.flag(":copy", ":copy").needs(Extension.COPY),
                Arguments.Tag.flag(":list", ":list").needs(Extension.EXTLISTS));
        boolean copy = arguments.has(":copy");
        if (arguments.has(":list")) {
            Optional<Argument.Item> name = arguments.string("the name of a list");
            arguments.end();
            return name.flatMap(item ->
                            Matching.list(compilation, item).map(entries -> redirectToList(call, item, entries, copy)))
                    .orElse(Step.Block.EMPTY);
        }
        Optional<Text> to = address(arguments);
        arguments.end();
        SourceLocation where = compilation.location(call.at());
        Step.Block redirect = withAddress(call, to, address -> new RuleAction.Redirect(address, copy));
        if (copy) {
            return redirect;
        }
        List<Step> steps = new ArrayList<>();
        steps.add(run -> {
            deliverable(where, run, "redirect");
            return Flow.NEXT;
        });
        steps.addAll(redirect.steps());
        return new Step.Block(steps, redirect.acts(), false, false);
    }

    /** RFC 6134 section 2.5: everybody on the list. */
    private Step.Block redirectToList(Call call, Argument.Item name, List<String> entries, boolean copy) {
        if (entries.size() > Execution.MAX_ACTIONS / 2) {
            compilation.error(
                    name.at(),
                    "the list has " + entries.size() + " addresses, expected " + Execution.MAX_ACTIONS / 2
                            + " at most");
            return Step.Block.EMPTY;
        }
        List<Step> steps = new ArrayList<>();
        for (String entry : entries) {
            Optional<MailAddress> address = Compilation.address(entry);
            if (address.isEmpty()) {
                compilation.error(
                        name.at(), "the list has '" + Compilation.shortened(entry) + "', expected mail addresses");
            }
            address.ifPresent(to ->
                    steps.addAll(action(call, new RuleAction.Redirect(to, copy)).steps()));
        }
        return new Step.Block(steps, !steps.isEmpty(), false, false);
    }

    /** RFC 5429 section 2.4: a message is rejected or delivered, not both; and it is rejected once. */
    private static void deliverable(SourceLocation where, Execution run, String action) throws RuleScriptException {
        if (run.actions().stream().anyMatch(RuleAction.Reject.class::isInstance)) {
            throw new RuleScriptException(where, "found '" + action + "' after a rejection");
        }
    }

    private Step.Block reject(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Text> reason = arguments.string("the reason, for the sender").map(compilation::text);
        arguments.end();
        if (reason.isEmpty()) {
            return Step.Block.EMPTY;
        }
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            deliverable(where, run, call.name());
            if (run.actions().stream()
                    .anyMatch(action -> action instanceof RuleAction.Redirect redirect && !redirect.copy())) {
                throw new RuleScriptException(where, "found '" + call.name() + "' after a redirection");
            }
            String text = reason.get().in(run);
            run.act(where, new RuleAction.Reject(text.length() > MAX_REASON ? text.substring(0, MAX_REASON) : text));
            return Flow.NEXT;
        });
    }

    private boolean isProtected(Argument.Item item, String name) {
        if (PROTECTED.contains(name.toLowerCase(Locale.ROOT))) {
            compilation.warning(
                    item.at(),
                    "the field '" + name + "' is never deleted (RFC 5293 section 6): the command does nothing");
            return true;
        }
        return false;
    }

    /** Line ends in a field are a mistake where they can be seen; where they come from a message they become spaces. */
    private boolean isOneLine(Argument.Item item, Text text) {
        boolean good = text.constant()
                .map(value -> value.chars().noneMatch(c -> c == '\r' || c == '\n' || c == 0))
                .orElse(true);
        if (!good) {
            compilation.error(item.at(), "found a line end or NUL, expected a text in one line");
        }
        return good;
    }

    private Step.Block addHeader(Call call) {
        Arguments arguments = new Arguments(compilation, call, Arguments.Tag.flag(":last", ":last"));
        Optional<Argument.Item> nameItem = arguments.string("the name of a header field");
        Optional<String> name = nameItem.flatMap(compilation::fieldName);
        Optional<Argument.Item> valueItem = arguments.string("the value of the field");
        Optional<Text> value = valueItem.map(compilation::text).filter(text -> isOneLine(valueItem.get(), text));
        arguments.end();
        if (name.isEmpty() || value.isEmpty()) {
            return Step.Block.EMPTY;
        }
        boolean last = arguments.has(":last");
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            String text = value.get().in(run);
            run.act(where, new RuleAction.AddHeader(name.get(), text, last));
            run.edited(HeaderEdit.added(run.message().header(), name.get(), text, last));
            return Flow.NEXT;
        });
    }

    private Step.Block deleteHeader(Call call) {
        List<Arguments.Tag> tags = new ArrayList<>(Matching.TAGS);
        tags.add(Arguments.Tag.flag(":index", ":index").with(Arguments.Follows.NUMBER));
        tags.add(Arguments.Tag.flag(":last", ":last"));
        Arguments arguments = new Arguments(compilation, call, tags);
        Optional<Argument.Item> nameItem = arguments.string("the name of a header field");
        Optional<String> name = nameItem.flatMap(compilation::fieldName);
        Optional<Matching> matching = Optional.empty();
        boolean patterned = arguments.count() > 1;
        if (patterned) {
            matching = Matching.read(compilation, arguments, "patterns for the value");
        }
        arguments.end();
        if (arguments.has(":last") && !arguments.has(":index")) {
            compilation.error(arguments.at(":last"), "found ':last' without ':index'");
        }
        Optional<Argument.Amount> index = arguments.tagNumber(":index");
        if (index.isPresent() && index.get().value() < 1) {
            compilation.error(index.get().at(), "found 0, expected fields to be counted from 1");
        }
        if (name.isEmpty() || (patterned && matching.isEmpty()) || isProtected(nameItem.get(), name.get())) {
            return Step.Block.EMPTY;
        }
        Optional<Matching> patterns = matching;
        int number = index.map(found -> (int) Math.min(found.value(), Integer.MAX_VALUE))
                .orElse(0);
        boolean last = arguments.has(":last");
        String key = name.get().toLowerCase(Locale.ROOT);
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            HeaderSection before = run.message().header();
            Predicate<IndexedField> which = field -> true;
            if (patterns.isPresent()) {
                Match match = patterns.get().match(run);
                boolean counts = patterns.get().isCount();
                which = field ->
                        match.matches(counts ? dev.mailflow.rules.match.Value.of("1") : field.value(), Match.UNHEARD);
            }
            HeaderSection after = HeaderEdit.deleted(before, key, number, last, which);
            int count = before.fields().size() - after.fields().size();
            if (count > 0) {
                run.act(where, new RuleAction.DeleteHeader(name.get(), count));
                run.edited(after);
            }
            return Flow.NEXT;
        });
    }

    private Step.Block set(Call call) {
        List<Arguments.Tag> tags = new ArrayList<>();
        for (Modifier modifier : Modifier.values()) {
            Arguments.Tag tag = Arguments.Tag.flag(modifier.tag(), "modifier of precedence " + modifier.precedence());
            tags.add(modifier == Modifier.QUOTEREGEX ? tag.needs(Extension.REGEX) : tag);
        }
        Arguments arguments = new Arguments(compilation, call, tags);
        Optional<Argument.Item> nameItem = arguments.string("the name of a variable");
        Optional<Text> value = arguments.string("the value").map(compilation::text);
        arguments.end();
        Optional<Integer> slot = nameItem.flatMap(item -> {
            if (!StringText.isName(item.text())) {
                compilation.error(
                        item.at(),
                        "found '" + Compilation.shortened(item.text())
                                + "', expected the name of a variable: letters, digits and '_'");
                return Optional.empty();
            }
            return compilation.slot(item.text(), item.at());
        });
        if (slot.isEmpty() || value.isEmpty()) {
            return Step.Block.EMPTY;
        }
        Map<Modifier, UnaryOperator<String>> modifiers = new LinkedHashMap<>();
        for (Modifier modifier : Modifier.values()) {
            if (arguments.has(modifier.tag())) {
                modifiers.put(modifier, modifier::apply);
            }
        }
        return silent(run -> {
            String text = value.get().in(run);
            for (UnaryOperator<String> modifier : modifiers.values()) {
                text = modifier.apply(text);
            }
            run.set(slot.get(), text);
            return Flow.NEXT;
        });
    }

    private Step.Block error(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Text> message = arguments.string("what is wrong").map(compilation::text);
        arguments.end();
        if (message.isEmpty()) {
            return Step.Block.EMPTY;
        }
        SourceLocation where = compilation.location(call.at());
        Step step = run -> {
            throw new RuleScriptException(where, message.get().in(run));
        };
        return new Step.Block(List.of(step), true, true, false);
    }

    private Optional<String> loopName(Arguments arguments) {
        return arguments.tagString(":name").flatMap(item -> compilation.constant(item, "the name of a loop"));
    }

    /** RFC 5703 section 3. */
    private Step.Block forEveryPart(Call call) {
        Arguments arguments = new Arguments(
                compilation, call, Arguments.Tag.flag(":name", ":name").with(Arguments.Follows.STRING));
        arguments.endOfArguments();
        arguments.noTests();
        Optional<String> name = loopName(arguments);
        boolean nested = compilation.isNestedLoop();
        compilation.enterLoop(name);
        Step.Block body = block(body(call));
        compilation.leaveLoop(name);
        SourceLocation where = compilation.location(call.at());
        Step step = run -> {
            MimeStructure structure = MimeStructure.of(run.message());
            Optional<MimePart> outer = run.part();
            List<MimePart> parts = outer.map(structure::from).orElseGet(structure::parts);
            try {
                for (MimePart part : nested ? parts.subList(1, parts.size()) : parts) {
                    run.count(where);
                    run.part(Optional.of(part));
                    Flow flow = body.run(run);
                    if (flow == Flow.STOP) {
                        return flow;
                    }
                    if (flow == Flow.BREAK) {
                        boolean here = run.leaving().isEmpty() || run.leaving().equals(name);
                        return here ? Flow.NEXT : flow;
                    }
                }
            } finally {
                run.part(outer);
            }
            return Flow.NEXT;
        };
        return new Step.Block(List.of(step), body.acts(), false, false);
    }

    private Step.Block leave(Call call) {
        Arguments arguments = new Arguments(
                compilation, call, Arguments.Tag.flag(":name", ":name").with(Arguments.Follows.STRING));
        arguments.end();
        Optional<String> name = loopName(arguments);
        if (!compilation.inLoop(name)) {
            compilation.error(
                    call.at(),
                    "found 'break' outside of a 'foreverypart'"
                            + name.map(loop -> " named '" + loop + "'").orElse(""));
        }
        return new Step.Block(
                List.of(run -> {
                    run.leave(name);
                    return Flow.BREAK;
                }),
                false,
                true,
                false);
    }

    private Step.Block route(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Item> item = arguments.string("the name of an outbound connector");
        arguments.end();
        Optional<String> name = item.flatMap(one -> compilation.constant(one, "the name of a connector"));
        if (name.isEmpty()) {
            return Step.Block.EMPTY;
        }
        if (name.get().isBlank()) {
            compilation.error(item.get().at(), "found an empty name, expected the name of an outbound connector");
            return Step.Block.EMPTY;
        }
        compilation.connector(name.get(), item.get().at());
        return action(call, new RuleAction.Route(name.get()));
    }

    private Step.Block requireTls(Call call) {
        new Arguments(compilation, call).end();
        return action(call, new RuleAction.RequireTls());
    }

    /** Sieve has no negative numbers: -1 is written as a string. */
    private Step.Block setScl(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Integer> level = Optional.empty();
        if (arguments.nextIsNumber()) {
            Optional<Argument.Amount> number = arguments.number("a level");
            if (number.get().value() <= 9) {
                level = Optional.of((int) number.get().value());
            } else {
                compilation.error(number.get().at(), "found " + number.get().value() + ", expected 0 to 9 or \"-1\"");
            }
        } else {
            Optional<Argument.Item> item = arguments.string("a level, 0 to 9 or \"-1\"");
            if (item.isPresent() && item.get().text().matches("-1|[0-9]")) {
                level = Optional.of(Integer.parseInt(item.get().text()));
            } else {
                item.ifPresent(one -> compilation.error(
                        one.at(), "found '" + Compilation.shortened(one.text()) + "', expected 0 to 9 or \"-1\""));
            }
        }
        arguments.end();
        return level.map(scl -> action(call, new RuleAction.SetScl(scl))).orElse(Step.Block.EMPTY);
    }

    private Step.Block bcc(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Text> to = address(arguments);
        arguments.end();
        return withAddress(call, to, RuleAction.Bcc::new);
    }

    private Step.Block addRecipient(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Text> to = address(arguments);
        arguments.end();
        if (to.isEmpty()) {
            return Step.Block.EMPTY;
        }
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            MailAddress address = address(where, to.get().in(run));
            run.act(where, new RuleAction.AddRecipient(address));
            run.edited(HeaderEdit.recipientAdded(run.message().header(), address));
            return Flow.NEXT;
        });
    }

    private Step.Block quarantine(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Item> item = arguments.string("a mail repository");
        arguments.end();
        Optional<String> repository = item.flatMap(one -> compilation.constant(one, "the repository"));
        if (repository.isEmpty()) {
            return Step.Block.EMPTY;
        }
        boolean good = repository.get().matches("[A-Za-z0-9][A-Za-z0-9._-]*|[a-z][a-z0-9+.-]*://[A-Za-z0-9._/-]+")
                && !repository.get().contains("..");
        if (!good) {
            compilation.error(
                    item.get().at(),
                    "found '" + Compilation.shortened(repository.get())
                            + "', expected a name (\"spam\") or the URL of a mail repository"
                            + " (\"file://var/mail/spam/\")");
            return Step.Block.EMPTY;
        }
        return action(call, new RuleAction.Quarantine(repository.get()));
    }

    private Step.Block prependSubject(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Item> item = arguments.string("a text");
        arguments.end();
        Optional<Text> text = item.map(compilation::text).filter(one -> isOneLine(item.get(), one));
        if (text.isEmpty()) {
            return Step.Block.EMPTY;
        }
        SourceLocation where = compilation.location(call.at());
        return one(run -> {
            String prefix = text.get().in(run);
            run.act(where, new RuleAction.PrependSubject(prefix));
            run.edited(HeaderEdit.subjectPrefixed(run.message().header(), prefix));
            return Flow.NEXT;
        });
    }
}
