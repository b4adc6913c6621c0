/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import java.io.IOException;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

import org.apache.james.core.MailAddress;

import dev.mailflow.policy.SourceLocation;
import dev.mailflow.policy.connection.IpRange;
import dev.mailflow.policy.connection.IpRangeSet;
import dev.mailflow.policy.domain.AcceptedDomain;
import dev.mailflow.policy.domain.DomainPattern;
import dev.mailflow.policy.inbound.Origin;
import dev.mailflow.policy.rule.RuleMessage;
import dev.mailflow.policy.rule.RuleScriptException;
import dev.mailflow.rules.match.Match;
import dev.mailflow.rules.match.Value;
import dev.mailflow.rules.message.HeaderIndex;
import dev.mailflow.rules.message.IndexedField;
import dev.mailflow.rules.message.Mailbox;
import dev.mailflow.rules.message.MessageDate;
import dev.mailflow.rules.message.MimePart;
import dev.mailflow.rules.message.MimeStructure;
import dev.mailflow.rules.syntax.Argument;
import dev.mailflow.rules.syntax.Call;

/** Turns tests into conditions. What no message can change is decided here. */
final class TestCompiler {
    private static final String ADDRESS_PART = "address part";
    private static final String MIME_OPTION = "MIME option";

    private static final Set<String> ADDRESS_FIELDS = Set.of(
            "from",
            "to",
            "cc",
            "bcc",
            "sender",
            "reply-to",
            "resent-from",
            "resent-to",
            "resent-cc",
            "resent-bcc",
            "resent-sender",
            "resent-reply-to",
            "return-path",
            "delivered-to",
            "errors-to",
            "return-receipt-to",
            "disposition-notification-to",
            "apparently-to",
            "envelope-to",
            "mail-followup-to",
            "mail-reply-to");

    private static final List<Arguments.Tag> ADDRESS_TAGS = List.of(
            Arguments.Tag.flag(":all", ADDRESS_PART),
            Arguments.Tag.flag(":localpart", ADDRESS_PART),
            Arguments.Tag.flag(":domain", ADDRESS_PART),
            Arguments.Tag.flag(":user", ADDRESS_PART).needs(Extension.SUBADDRESS),
            Arguments.Tag.flag(":detail", ADDRESS_PART).needs(Extension.SUBADDRESS));

    private static final List<Arguments.Tag> INDEX_TAGS = List.of(
            Arguments.Tag.flag(":index", ":index").needs(Extension.INDEX).with(Arguments.Follows.NUMBER),
            Arguments.Tag.flag(":last", ":last").needs(Extension.INDEX));

    private static final List<Arguments.Tag> MIME_TAGS = List.of(
            Arguments.Tag.flag(":mime", ":mime").needs(Extension.MIME),
            Arguments.Tag.flag(":anychild", ":anychild").needs(Extension.MIME));

    private static final List<Arguments.Tag> MIME_OPTIONS = List.of(
            Arguments.Tag.flag(":type", MIME_OPTION).needs(Extension.MIME),
            Arguments.Tag.flag(":subtype", MIME_OPTION).needs(Extension.MIME),
            Arguments.Tag.flag(":contenttype", MIME_OPTION).needs(Extension.MIME),
            Arguments.Tag.flag(":param", MIME_OPTION).needs(Extension.MIME).with(Arguments.Follows.STRINGS));

    private final Compilation compilation;

    TestCompiler(Compilation compilation) {
        this.compilation = compilation;
    }

    @SafeVarargs
    private static List<Arguments.Tag> tags(List<Arguments.Tag>... lists) {
        List<Arguments.Tag> all = new ArrayList<>();
        for (List<Arguments.Tag> list : lists) {
            all.addAll(list);
        }
        return all;
    }

    /** The condition of a test; one that is never true when the test is wrong, which was told. */
    Condition compile(Call call) {
        Condition condition = untraced(call);
        return switch (call.name()) {
            case "allof", "anyof", "not" -> condition;
            default -> traced(condition, call);
        };
    }

    private Condition traced(Condition condition, Call call) {
        SourceLocation where = compilation.location(call.at());
        Optional<Boolean> constant = condition.constant();
        return new Condition() {
            @Override
            public boolean holds(Execution run) throws RuleScriptException, IOException {
                run.count(where);
                boolean result = condition.holds(run);
                if (run.isTraced()) {
                    run.tested(where, call.text(), result);
                }
                return result;
            }

            @Override
            public Optional<Boolean> constant() {
                return constant;
            }
        };
    }

    private Condition untraced(Call call) {
        if (call.listed() && !call.name().equals("allof") && !call.name().equals("anyof")) {
            compilation.error(call.at(), "'" + call.name() + "' takes no list of tests");
            return Condition.FALSE;
        }
        return switch (call.name()) {
            case "true", "false" -> {
                new Arguments(compilation, call).end();
                yield Condition.of(call.name().equals("true"));
            }
            case "not" -> not(call);
            case "allof" -> Folding.allOf(call.tests(), list(call));
            case "anyof" -> Folding.anyOf(list(call));
            case "header" -> header(call);
            case "address" -> address(call);
            case "exists" -> exists(call);
            case "size" -> size(call);
            case "envelope" -> needing(Extension.ENVELOPE, call, this::envelope);
            case "environment" -> needing(Extension.ENVIRONMENT, call, this::environment);
            case "body" -> needing(Extension.BODY, call, this::body);
            case "date" -> needing(Extension.DATE, call, this::date);
            case "currentdate" -> needing(Extension.DATE, call, this::currentDate);
            case "string" -> needing(Extension.VARIABLES, call, this::string);
            case "valid_ext_list" -> needing(Extension.EXTLISTS, call, this::validExternalList);
            case "ihave" -> needing(Extension.IHAVE, call, this::iHave);
            case "internalsender" -> needing(Extension.MAILFLOW, call, this::internalSender);
            case "internalrecipient" -> needing(Extension.MAILFLOW, call, this::internalRecipient);
            case "connector" -> needing(Extension.MAILFLOW, call, this::connector);
            case "clientip" -> needing(Extension.MAILFLOW, call, this::clientIp);
            case "attachmentname" -> needing(Extension.MAILFLOW, call, this::attachmentName);
            case "attachmentsize" -> needing(Extension.MAILFLOW, call, this::attachmentSize);
            default -> unknown(call);
        };
    }

    private Condition needing(Extension extension, Call call, Function<Call, Condition> compile) {
        compilation.needs(extension, call.at(), "'" + call.name() + "'");
        return compile.apply(call);
    }

    private Condition unknown(Call call) {
        Optional<String> instead =
                switch (call.name()) {
                    case "hasflag" -> Extension.alternative("imap4flags");
                    case "mailboxexists", "mailboxidexists", "specialuse_exists" -> Extension.alternative("mailbox");
                    case "metadata", "metadataexists", "servermetadata", "servermetadataexists" -> Extension
                            .alternative("mboxmetadata");
                    case "valid_notify_method", "notify_method_capability" -> Extension.alternative("enotify");
                    default -> Extension.alternative(call.name());
                };
        compilation.error(
                call.at(),
                instead.map(text -> "the test '" + call.name() + "' means nothing in a transport rule; " + text)
                        .orElseGet(() -> "unknown test '" + Compilation.shortened(call.name()) + "'"
                                + Similar.to(call.name(), KNOWN)));
        return Condition.FALSE;
    }

    private static final List<String> KNOWN = List.of(
            "address",
            "allof",
            "anyof",
            "attachmentname",
            "attachmentsize",
            "body",
            "clientip",
            "connector",
            "currentdate",
            "date",
            "envelope",
            "environment",
            "exists",
            "false",
            "header",
            "ihave",
            "internalrecipient",
            "internalsender",
            "not",
            "size",
            "string",
            "true",
            "valid_ext_list");

    private Condition not(Call call) {
        new Arguments(compilation, call).endOfArguments();
        if (call.tests().size() != 1) {
            compilation.error(call.at(), "'not' expects one test");
            return Condition.FALSE;
        }
        return compile(call.tests().get(0)).negated();
    }

    private List<Condition> list(Call call) {
        new Arguments(compilation, call).endOfArguments();
        if (!call.listed()) {
            compilation.error(call.at(), "'" + call.name() + "' expects tests in parentheses, separated by commas");
        }
        return call.tests().stream().map(this::compile).toList();
    }

    /** RFC 5260 section 6: which of several fields; empty: all. */
    private record Index(int number, boolean last) {
        <T> List<T> of(List<T> fields) {
            int at = last ? fields.size() - number : number - 1;
            return at >= 0 && at < fields.size() ? List.of(fields.get(at)) : List.of();
        }
    }

    private Optional<Index> index(Arguments arguments) {
        if (arguments.has(":last") && !arguments.has(":index")) {
            compilation.error(arguments.at(":last"), "found ':last' without ':index'");
        }
        return arguments.tagNumber(":index").map(number -> {
            if (number.value() < 1) {
                compilation.error(number.at(), "found 0, expected fields to be counted from 1");
            }
            return new Index((int) Math.min(number.value(), Integer.MAX_VALUE), arguments.has(":last"));
        });
    }

    private String[] fieldNames(Optional<Argument.Strings> names) {
        List<String> all = new ArrayList<>();
        names.ifPresent(strings -> strings.items().forEach(item -> compilation
                .fieldName(item)
                .ifPresent(name -> all.add(name.toLowerCase(Locale.ROOT).intern()))));
        return all.toArray(String[]::new);
    }

    /** Where a test looks for header fields (RFC 5703 section 4). */
    private interface Headers {
        List<HeaderIndex> of(Execution run);
    }

    private Headers headers(Arguments arguments) {
        boolean children = arguments.has(":anychild");
        if (!arguments.has(":mime")) {
            if (children) {
                compilation.error(arguments.at(":anychild"), "found ':anychild' without ':mime'");
            }
            return run -> List.of(HeaderIndex.of(run.message()));
        }
        return run -> {
            MimeStructure structure = MimeStructure.of(run.message());
            MimePart part = run.part().orElseGet(() -> structure.parts().get(0));
            // what rules did to the message's own header counts
            if (!children) {
                return List.of(part == structure.parts().get(0) ? HeaderIndex.of(run.message()) : part.header());
            }
            List<HeaderIndex> all = new ArrayList<>();
            for (MimePart one : structure.from(part)) {
                all.add(one == structure.parts().get(0) ? HeaderIndex.of(run.message()) : one.header());
            }
            return all;
        };
    }

    private Condition header(Call call) {
        Arguments arguments =
                new Arguments(compilation, call, tags(Matching.TAGS, INDEX_TAGS, MIME_TAGS, MIME_OPTIONS));
        Optional<Index> index = index(arguments);
        Headers headers = headers(arguments);
        String[] names = fieldNames(arguments.strings("names of header fields"));
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        Optional<Function<IndexedField, List<Value>>> option = mimeOption(arguments);
        if (matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        if (names.length == 1 && index.isEmpty() && option.isEmpty() && !arguments.has(":mime") && !keys.isCount()) {
            return oneHeader(names[0], keys);
        }
        return run -> {
            List<Value> values = new ArrayList<>();
            for (HeaderIndex header : headers.of(run)) {
                for (IndexedField field : fields(header, names, index)) {
                    if (option.isPresent()) {
                        values.addAll(option.get().apply(field));
                    } else {
                        values.add(field.value());
                    }
                }
            }
            return keys.matches(run, values);
        };
    }

    /** The commonest test of all. */
    private static Condition oneHeader(String name, Matching keys) {
        return run -> {
            List<IndexedField> fields = HeaderIndex.of(run.message()).fields(name);
            if (fields.isEmpty()) {
                return false;
            }
            Match match = keys.match(run);
            Match.Captured captured = keys.captured(run);
            for (int i = 0; i < fields.size(); i++) {
                if (match.matches(fields.get(i).value(), captured)) {
                    return true;
                }
            }
            return false;
        };
    }

    private static List<IndexedField> fields(HeaderIndex header, String[] names, Optional<Index> index) {
        List<IndexedField> all = new ArrayList<>();
        for (String name : names) {
            all.addAll(header.fields(name));
        }
        return index.isPresent() ? index.get().of(all) : all;
    }

    /** RFC 5703 section 4.2: a part of the value instead of the whole. */
    private Optional<Function<IndexedField, List<Value>>> mimeOption(Arguments arguments) {
        for (Arguments.Tag tag : MIME_OPTIONS) {
            if (arguments.has(tag.name()) && !arguments.has(":mime")) {
                compilation.error(arguments.at(tag.name()), "found '" + tag.name() + "' without ':mime'");
            }
        }
        if (arguments.has(":type")) {
            return Optional.of(
                    field -> field.mimeType().map(type -> Value.of(type.substring(0, type.indexOf('/')))).stream()
                            .toList());
        }
        if (arguments.has(":subtype")) {
            return Optional.of(
                    field -> field.mimeType().map(type -> Value.of(type.substring(type.indexOf('/') + 1))).stream()
                            .toList());
        }
        if (arguments.has(":contenttype")) {
            return Optional.of(
                    field -> field.structuredValue().map(Value::of).stream().toList());
        }
        return arguments.tagStrings(":param").map(names -> {
            List<String> wanted = names.texts().stream()
                    .map(name -> name.toLowerCase(Locale.ROOT))
                    .toList();
            return field -> wanted.stream()
                    .map(field::parameter)
                    .flatMap(Optional::stream)
                    .map(Value::of)
                    .toList();
        });
    }

    private static Mailbox.Part part(Arguments arguments) {
        return arguments.has(":localpart")
                ? Mailbox.Part.LOCAL_PART
                : arguments.has(":domain")
                        ? Mailbox.Part.DOMAIN
                        : arguments.has(":user")
                                ? Mailbox.Part.USER
                                : arguments.has(":detail") ? Mailbox.Part.DETAIL : Mailbox.Part.ALL;
    }

    /** Domains are compared in A-labels: so must be the keys (mail-flow behaviour, section 1). */
    private static Optional<Argument.Strings> keysOf(Mailbox.Part part, Arguments arguments) {
        Optional<Argument.Strings> keys = arguments.strings("keys to compare with");
        if (part != Mailbox.Part.DOMAIN) {
            return keys;
        }
        return keys.map(strings -> new Argument.Strings(
                strings.items().stream()
                        .map(item -> item.text().chars().allMatch(c -> c < 128)
                                ? item
                                : new Argument.Item(DomainPattern.normalize(item.text()), item.at()))
                        .toList(),
                strings.bracketed(),
                strings.at()));
    }

    private Condition address(Call call) {
        Arguments arguments =
                new Arguments(compilation, call, tags(Matching.TAGS, ADDRESS_TAGS, INDEX_TAGS, MIME_TAGS));
        Optional<Index> index = index(arguments);
        Headers headers = headers(arguments);
        Optional<Argument.Strings> given = arguments.strings("names of address fields");
        String[] names = fieldNames(given);
        given.ifPresent(strings -> strings.items().forEach(this::checkAddressField));
        Mailbox.Part part = part(arguments);
        Optional<Matching> matching = Matching.read(compilation, arguments, keysOf(part, arguments));
        arguments.end();
        if (matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        return run -> {
            Match match = keys.match(run);
            Match.Captured captured = keys.captured(run);
            int count = 0;
            for (HeaderIndex header : headers.of(run)) {
                for (IndexedField field : fields(header, names, index)) {
                    for (Mailbox mailbox : field.mailboxes()) {
                        Optional<Value> value = mailbox.part(part);
                        if (value.isPresent()) {
                            count++;
                            if (!keys.isCount() && match.matches(value.get(), captured)) {
                                return true;
                            }
                        }
                    }
                }
            }
            return keys.isCount() && keys.matchesCount(run, count);
        };
    }

    private void checkAddressField(Argument.Item item) {
        String name = item.text().toLowerCase(Locale.ROOT);
        if (Compilation.isFieldName(name) && !ADDRESS_FIELDS.contains(name) && !name.startsWith("x-")) {
            compilation.error(
                    item.at(),
                    "found '" + Compilation.shortened(item.text())
                            + "', which holds no addresses; use 'header' for it (RFC 5228 section 5.1)");
        }
    }

    private Condition exists(Call call) {
        Arguments arguments = new Arguments(compilation, call, MIME_TAGS);
        Headers headers = headers(arguments);
        String[] names = fieldNames(arguments.strings("names of header fields"));
        arguments.end();
        return run -> {
            List<HeaderIndex> all = headers.of(run);
            for (String name : names) {
                boolean found = false;
                for (HeaderIndex header : all) {
                    found |= header.has(name);
                }
                if (!found) {
                    return false;
                }
            }
            return true;
        };
    }

    private Condition size(Call call) {
        Arguments arguments = new Arguments(
                compilation, call, Arguments.Tag.flag(":over", "limit"), Arguments.Tag.flag(":under", "limit"));
        Optional<Argument.Amount> limit = limit(arguments);
        if (limit.isEmpty()) {
            return Condition.FALSE;
        }
        long bytes = limit.get().value();
        if (arguments.has(":over")) {
            return bytes == Long.MAX_VALUE
                    ? Condition.FALSE
                    : run -> run.message().size() > bytes;
        }
        return bytes == 0 ? Condition.FALSE : run -> run.message().size() < bytes;
    }

    private Optional<Argument.Amount> limit(Arguments arguments) {
        Optional<Argument.Amount> limit = arguments.number("a size in bytes, or with K, M or G");
        arguments.end();
        if (!arguments.has(":over") && !arguments.has(":under")) {
            compilation.error(arguments.at(), "expected ':over' or ':under'");
            return Optional.empty();
        }
        return limit;
    }

    private Condition envelope(Call call) {
        Arguments arguments = new Arguments(compilation, call, tags(Matching.TAGS, ADDRESS_TAGS));
        Optional<Argument.Strings> parts = arguments.strings("envelope parts: \"from\", \"to\"");
        boolean from = false;
        boolean to = false;
        for (Argument.Item item : parts.map(Argument.Strings::items).orElse(List.of())) {
            switch (item.text().toLowerCase(Locale.ROOT)) {
                case "from" -> from = true;
                case "to" -> to = true;
                default -> compilation.error(
                        item.at(), "found '" + Compilation.shortened(item.text()) + "', expected \"from\" or \"to\"");
            }
        }
        Mailbox.Part part = part(arguments);
        Optional<Matching> matching = Matching.read(compilation, arguments, keysOf(part, arguments));
        arguments.end();
        if (to) {
            compilation.dependOnRecipient();
        }
        if (matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        boolean sender = from;
        boolean recipient = to;
        return run -> {
            List<Value> values = new ArrayList<>(2);
            if (sender) {
                EnvelopeSender.of(run.message()).part(part).ifPresent(values::add);
            }
            if (recipient) {
                for (MailAddress address : run.recipients()) {
                    Mailbox.of(address).part(part).ifPresent(values::add);
                }
            }
            return keys.matches(run, values);
        };
    }

    private Condition environment(Call call) {
        Arguments arguments = new Arguments(compilation, call, Matching.TAGS);
        Optional<Argument.Item> name = arguments.string("the name of an item");
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        Optional<String> constant = name.flatMap(item -> compilation.constant(item, "the name of an item"));
        if (constant.isEmpty() || matching.isEmpty()) {
            return Condition.FALSE;
        }
        Optional<Function<RuleMessage, String>> item = Environment.item(constant.get());
        if (item.isEmpty()) {
            // RFC 5183 section 4: never true, and no error
            compilation.warning(
                    name.get().at(),
                    "there is no item '" + Compilation.shortened(constant.get())
                            + "', so the test is never true; there are " + Environment.known());
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        return run -> {
            String value = item.get().apply(run.message());
            return keys.isCount()
                    ? keys.matchesCount(run, value.isEmpty() ? 0 : 1)
                    : keys.matches(run, Value.of(value));
        };
    }

    private Condition body(Call call) {
        String transform = "transform";
        Arguments arguments = new Arguments(
                compilation,
                call,
                tags(
                        Matching.TAGS,
                        List.of(
                                Arguments.Tag.flag(":raw", transform),
                                Arguments.Tag.flag(":text", transform),
                                Arguments.Tag.flag(":content", transform).with(Arguments.Follows.STRINGS))));
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        if (matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        if (arguments.has(":raw")) {
            return run -> {
                boolean has = MimeStructure.hasBody(run.message());
                if (keys.isCount()) {
                    return keys.matchesCount(run, has ? 1 : 0);
                }
                Match match = keys.match(run);
                return has && MimeStructure.rawMatches(run.message(), match::stream);
            };
        }
        List<Text> types = arguments
                .tagStrings(":content")
                .map(compilation::texts)
                .orElseGet(() -> List.of(Text.of("text", compilation.location(call.at()))));
        return run -> {
            if (!MimeStructure.hasBody(run.message())) {
                return keys.isCount() && keys.matchesCount(run, 0);
            }
            MimeStructure structure = MimeStructure.of(run.message());
            Predicate<MimePart> wanted = ofTypes(Text.in(types, run));
            if (keys.isCount()) {
                return keys.matchesCount(
                        run, (int) structure.parts().stream().filter(wanted).count());
            }
            Match match = keys.match(run);
            return structure.contentMatches(run.message(), wanted, match::stream);
        };
    }

    /** RFC 5173 section 5.2: a type, a type with subtype, or the empty string for all. */
    private static Predicate<MimePart> ofTypes(List<String> names) {
        Set<String> wanted = new HashSet<>();
        names.forEach(name -> wanted.add(name.toLowerCase(Locale.ROOT)));
        return part -> wanted.contains("") || wanted.contains(part.type()) || wanted.contains(part.contentType());
    }

    private static final List<Arguments.Tag> ZONE_TAGS = List.of(
            Arguments.Tag.flag(":zone", "zone").with(Arguments.Follows.STRING),
            Arguments.Tag.flag(":originalzone", "zone"));

    private Optional<ZoneOffset> zone(Arguments arguments) {
        return arguments.tagString(":zone").flatMap(item -> {
            Optional<ZoneOffset> zone = MessageDate.offset(item.text());
            if (zone.isEmpty()) {
                compilation.error(
                        item.at(),
                        "found '" + Compilation.shortened(item.text()) + "', expected a time zone like \"+0100\"");
            }
            return zone;
        });
    }

    private Optional<MessageDate.Part> datePart(Arguments arguments) {
        return arguments.string("a part of a date: \"year\", \"month\", \u2026").flatMap(item -> {
            Optional<MessageDate.Part> part = MessageDate.Part.named(item.text());
            if (part.isEmpty()) {
                compilation.error(
                        item.at(),
                        "found '" + Compilation.shortened(item.text())
                                + "', expected a part of a date: year, month, day, date, "
                                + "julian, hour, minute, second, time, iso8601, std11, zone or weekday");
            }
            return part;
        });
    }

    private Condition date(Call call) {
        Arguments arguments = new Arguments(compilation, call, tags(Matching.TAGS, INDEX_TAGS, ZONE_TAGS));
        Optional<Index> index = index(arguments);
        Optional<ZoneOffset> zone = zone(arguments);
        Optional<String> name = arguments
                .string("the name of a header field")
                .flatMap(compilation::fieldName)
                .map(text -> text.toLowerCase(Locale.ROOT));
        Optional<MessageDate.Part> part = datePart(arguments);
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        if (name.isEmpty() || part.isEmpty() || matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        boolean original = arguments.has(":originalzone");
        Index wanted = index.orElseGet(() -> new Index(1, false));
        return run -> {
            Optional<OffsetDateTime> date = wanted
                    .of(HeaderIndex.of(run.message()).fields(name.get()))
                    .stream()
                    .findFirst()
                    .flatMap(field -> MessageDate.read(field.value().text()));
            if (keys.isCount()) {
                return keys.matchesCount(run, date.isPresent() ? 1 : 0);
            }
            return date.isPresent() && keys.matches(run, Value.of(shifted(date.get(), original, zone, part.get())));
        };
    }

    private static String shifted(
            OffsetDateTime date, boolean original, Optional<ZoneOffset> zone, MessageDate.Part part) {
        OffsetDateTime shifted = original
                ? date
                : zone.map(date::withOffsetSameInstant).orElseGet(() -> MessageDate.local(date.toInstant()));
        return MessageDate.part(shifted, part);
    }

    private Condition currentDate(Call call) {
        Arguments arguments = new Arguments(compilation, call, tags(Matching.TAGS, List.of(ZONE_TAGS.get(0))));
        Optional<ZoneOffset> zone = zone(arguments);
        Optional<MessageDate.Part> part = datePart(arguments);
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        if (part.isEmpty() || matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        return run -> keys.isCount()
                ? keys.matchesCount(run, 1)
                : keys.matches(run, Value.of(shifted(run.now().atOffset(ZoneOffset.UTC), false, zone, part.get())));
    }

    private Condition string(Call call) {
        Arguments arguments = new Arguments(compilation, call, Matching.TAGS);
        Optional<Argument.Strings> source = arguments.strings("texts to compare");
        Optional<Matching> matching = Matching.read(compilation, arguments, "keys to compare with");
        arguments.end();
        if (source.isEmpty() || matching.isEmpty()) {
            return Condition.FALSE;
        }
        List<Text> texts = compilation.texts(source.get());
        Matching keys = matching.get();
        return run -> {
            List<Value> values = new ArrayList<>(texts.size());
            for (String text : Text.in(texts, run)) {
                // RFC 5229 section 5: with :count, empty strings do not count
                if (!keys.isCount() || !text.isEmpty()) {
                    values.add(Value.of(text));
                }
            }
            return keys.matches(run, values);
        };
    }

    private Condition validExternalList(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Strings> names = arguments.strings("names of lists");
        arguments.end();
        boolean all = true;
        for (Argument.Item item : names.map(Argument.Strings::items).orElse(List.of())) {
            Optional<String> name = compilation.constant(item, "the name of a list");
            try {
                all &= name.isPresent() && compilation.lists().read(name.get()).isPresent();
            } catch (IOException e) {
                all = false;
            }
        }
        return Condition.of(all);
    }

    private Condition iHave(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Strings> names = arguments.strings("names of extensions");
        arguments.end();
        List<Optional<Extension>> wanted = names.map(Argument.Strings::texts).orElse(List.of()).stream()
                .map(Extension::named)
                .toList();
        if (names.isEmpty() || wanted.stream().anyMatch(Optional::isEmpty)) {
            return Condition.FALSE;
        }
        // RFC 5463 section 4: from here on they may be used
        wanted.forEach(extension -> extension.ifPresent(compilation::require));
        return Condition.TRUE;
    }

    private Condition internalSender(Call call) {
        new Arguments(compilation, call).end();
        return run -> run.message().origin() == Origin.INTERNAL;
    }

    private Condition internalRecipient(Call call) {
        new Arguments(compilation, call).end();
        compilation.dependOnRecipient();
        return run -> {
            for (MailAddress recipient : run.recipients()) {
                Optional<AcceptedDomain> domain =
                        run.message().acceptedDomains().find(recipient.getDomain());
                if (domain.isPresent() && domain.get().type() != AcceptedDomain.Type.EXTERNAL_RELAY) {
                    return true;
                }
            }
            return false;
        };
    }

    private Condition connector(Call call) {
        Arguments arguments = new Arguments(
                compilation, call, Arguments.Tag.flag(":in", "direction"), Arguments.Tag.flag(":out", "direction"));
        Optional<Argument.Strings> names = arguments.strings("names of inbound connectors");
        arguments.end();
        if (arguments.has(":out")) {
            compilation.error(
                    arguments.at(":out"),
                    "the outbound connector is chosen after the rules; expected ':in', or 'envelope \"to\"' for where it goes");
        } else if (!arguments.has(":in")) {
            compilation.error(arguments.at(), "'connector' expects ':in'");
        }
        Set<String> wanted = new HashSet<>();
        names.ifPresent(strings -> strings.items()
                .forEach(item ->
                        compilation.constant(item, "the name of a connector").ifPresent(wanted::add)));
        return run -> {
            var facts = run.message().facts();
            return facts.isPresent()
                    && facts.get().connector().isPresent()
                    && wanted.contains(facts.get().connector().get().name());
        };
    }

    private Condition clientIp(Call call) {
        Arguments arguments = new Arguments(compilation, call);
        Optional<Argument.Strings> ranges = arguments.strings("addresses, networks or ranges");
        arguments.end();
        IpRangeSet.Builder builder = IpRangeSet.builder();
        for (Argument.Item item : ranges.map(Argument.Strings::items).orElse(List.of())) {
            Optional<String> text = compilation.constant(item, "an address or network");
            try {
                text.map(IpRange::parse).ifPresent(builder::add);
            } catch (IllegalArgumentException e) {
                compilation.error(item.at(), e.getMessage());
            }
        }
        IpRangeSet set = builder.build();
        return run -> {
            var facts = run.message().facts();
            return facts.isPresent() && set.contains(facts.get().clientIp());
        };
    }

    private Condition attachmentName(Call call) {
        Arguments arguments = new Arguments(compilation, call, Matching.TAGS);
        Optional<Matching> matching = Matching.read(compilation, arguments, "names of files");
        arguments.end();
        if (matching.isEmpty()) {
            return Condition.FALSE;
        }
        Matching keys = matching.get();
        return run -> {
            List<Value> names = new ArrayList<>();
            for (MimePart part : MimeStructure.of(run.message()).parts()) {
                if (part.isAttachment()) {
                    if (keys.isCount()) {
                        names.add(part.fileName().orElseGet(() -> Value.of("")));
                    } else {
                        part.fileName().ifPresent(names::add);
                    }
                }
            }
            return keys.matches(run, names);
        };
    }

    private Condition attachmentSize(Call call) {
        Arguments arguments = new Arguments(
                compilation, call, Arguments.Tag.flag(":over", "limit"), Arguments.Tag.flag(":under", "limit"));
        Optional<Argument.Amount> limit = limit(arguments);
        if (limit.isEmpty()) {
            return Condition.FALSE;
        }
        long bytes = limit.get().value();
        boolean over = arguments.has(":over");
        return run -> {
            for (MimePart part : MimeStructure.of(run.message()).parts()) {
                if (part.isAttachment() && (over ? part.decodedSize() > bytes : part.decodedSize() < bytes)) {
                    return true;
                }
            }
            return false;
        };
    }

    /** What of a message is asked again and again. */
    private record EnvelopeSender(Mailbox mailbox) {
        static Mailbox of(RuleMessage message) {
            return message.ofBody(
                            EnvelopeSender.class,
                            one -> new EnvelopeSender(
                                    one.sender().map(Mailbox::of).orElse(Mailbox.NULL_SENDER)))
                    .mailbox();
        }
    }
}
