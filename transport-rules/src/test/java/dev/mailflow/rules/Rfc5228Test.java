/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import dev.mailflow.policy.rule.RuleAction;
import dev.mailflow.policy.rule.RuleScriptException;

/** The base language, RFC 5228. */
class Rfc5228Test {
    /** Section 9, the first example message. */
    private static final String COYOTE =
            """
            Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
            From: coyote@desert.example.org
            To: roadrunner@acme.example.com
            Subject: I have a present for you

            Look, I'm sorry about the whole anvil thing, and I really
            didn't mean to try and drop it on you from the top of the
            cliff.  I want to try to make it up to you.  I've got some
            great birdseed over here at my place--top of the line
            stuff--and if you come by, I'll have it all wrapped up
            for you.  I'm really sorry for all the problems I've caused
            for you over the years, but I know we can work this out.
            --
            Wile E. Coyote   "Super Genius"   coyote@desert.example.org
            """;

    /** Section 9, the second example message. */
    private static final String RICH =
            """
            From: youcouldberich!@reply-by-postal-mail.invalid
            Sender: b1ff@de.res.example.com
            To: rube@landru.example.com
            Date:  Mon, 31 Mar 1997 18:26:10 -0800
            Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$

            YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS, BUT I DOUBT
            IT!  SO JUST POST THIS TO SIX HUNDRED NEWSGROUPS!  IT WILL
            GUARANTEE THAT YOU GET AT LEAST FIVE RESPONSES WITH MONEY!
            MONEY! MONEY! COLD HARD CASH!  YOU WILL RECEIVE OVER
            $20,000 IN LESS THAN TWO MONTHS!  AND IT'S LEGAL!!!!!!!!!
            !!!!!!!!!!!!!!!!!!111111111!!!!!!!11111111111!!1  JUST
            SEND $5 IN SMALL, UNMARKED BILLS TO THE ADDRESSES BELOW!
            """;

    private static final String HEADERS =
            """
            From: "Frobnitz, Dr." <tim@example.com>, Second <second@Sub.Example.ORG>
            To: undisclosed-recipients: ann@a.example, bob@b.example;
            Cc: "quoted local"@c.example
            Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus?= =?utf-8?B?IEvDtmxu?=
            X-Folded: one
            \ttwo
             three
            X-Stars: a*b?c\\d
            X-Spaces:    padded   \s
            X-Empty:
            X-Twice: first
            X-Twice: second
            X-Raw: naïve
            x-caffeine: C8H10N4O2

            Body.
            """;

    private static boolean holds(String test) throws RuleScriptException {
        return Script.test(test).message(HEADERS).holds();
    }

    @DisplayName("section 2.3: comments of both kinds are white space")
    @Test
    void commentsShouldBeIgnored() throws Exception {
        assertThat(Script.of("# one\nif /* two\n three */ true { keep; } # four")
                        .holds())
                .isTrue();
    }

    @DisplayName("section 2.4.1: quantifiers multiply by 2^10, 2^20 and 2^30")
    @ParameterizedTest
    @CsvSource({"1023,false", "1024,false", "1025,true", "3000,true"})
    void numbersShouldHaveQuantifiers(int size, boolean over) throws Exception {
        assertThat(Script.test("size :over 1K").bytes(sized(size)).holds()).isEqualTo(over);
        assertThat(Script.test("not size :over 1k").bytes(sized(size)).holds()).isEqualTo(!over);
        assertThat(Script.test("size :under 1M").bytes(sized(size)).holds()).isTrue();
        assertThat(Script.test("size :over 8G").bytes(sized(size)).holds()).isFalse();
    }

    private static byte[] sized(int size) {
        return ("A: b\r\n\r\n" + "x".repeat(size))
                .substring(0, size)
                .getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    }

    @DisplayName("section 2.4.1: a number that does not fit is an error")
    @Test
    void hugeNumbersShouldBeErrors() {
        assertThat(Script.of("if size :over 99999999999999999999G { keep; }").errors())
                .singleElement()
                .asString()
                .contains("column 15: found '99999999999999999999G'");
    }

    @DisplayName("section 2.4.2: quoted strings, escapes, multi-line strings with stuffed dots")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "string \"a\\\"b\r\n\" text:\na\"b\n.\n",
                "string \"a\\\\b\" \"a\\\\b\"",
                "string \"\\a\\u\\n\" \"aun\"",
                "string \"\\u0041\" \"u0041\"",
                "string text: # comment\n..dot\n.\n \".dot\r\n\"",
                "string text:\none\n\ntwo\n.\n \"one\r\n\r\ntwo\r\n\"",
                "string \"line\r\nline\" \"line\r\nline\""
            })
    void stringsShouldBeRead(String test) throws Exception {
        assertThat(Script.test(test).holds()).isTrue();
        // whatever ends the lines of the file
        assertThat(Script.test(test.replace("\r\n", "\n")).holds()).isTrue();
    }

    @DisplayName("section 2.4.2.4: encoded characters")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "string \"$${hex:40}\" \"$@\"",
                "string \"${hex: 40 }\" \"@\"",
                "string \"${HEX: 40}\" \"@\"",
                "string \"${hex:40 41}\" \"@A\"",
                "string \"${unicode:40}\" \"@\"",
                "string \"${ unicode:40}\" \"${ unicode:40}\"",
                "string \"${UNICODE:40}\" \"@\"",
                "string \"${UnICoDE:0000040}\" \"@\"",
                "string \"${Unicode:Fa}\" \"ú\"",
                "string \"${unicode:1f600}\" \"😀\"",
                "string \"${hex:c3 bc}\" \"ü\""
            })
    void encodedCharactersShouldBeReplaced(String test) throws Exception {
        assertThat(Script.of("require [\"encoded-character\", \"variables\"]; if " + test + " { keep; }")
                        .holds())
                .isTrue();
    }

    @DisplayName("section 2.4.2.4: an invalid unicode character is a syntax error, as in the RFC's table")
    @ParameterizedTest
    @ValueSource(strings = {"${unicode:200000}", "${Unicode:DF01}"})
    void invalidEncodedCharactersShouldBeErrors(String text) {
        assertThat(Script.of("require [\"encoded-character\", \"variables\"]; if string \"" + text
                                + "\" \"x\" { keep; }")
                        .errors())
                .isNotEmpty();
    }

    @DisplayName("section 2.4.2.4: without require, nothing is replaced")
    @Test
    void charactersShouldStayWithoutRequire() throws Exception {
        assertThat(Script.of("if header \"X-H\" \"${hex:40}\" { keep; }")
                        .message("X-H: ${hex:40}\n\n")
                        .holds())
                .isTrue();
    }

    @DisplayName("section 2.4.2.2: headers are compared without folds and outer white space, names without case")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "header :is \"X-Folded\" \"one\ttwo three\"",
                "header :is \"x-folded\" \"ONE\tTWO THREE\"",
                "header :is \"X-Spaces\" \"padded\"",
                "header :is \"X-Empty\" \"\"",
                "header :contains \"X-Empty\" \"\"",
                "header :is [\"Nothing\", \"X-Empty\"] \"\"",
                "header :is \"X-Twice\" \"second\"",
                "header :is \"subject\" \"Grüße aus Köln\"",
                "header :contains \"subject\" \"köln\"",
                "header :is \"X-Raw\" \"naïve\"",
                "header :is [\"X-Empty\", \"X-Twice\"] [\"none\", \"first\"]",
                "not header :contains \"Nothing\" \"\""
            })
    void headersShouldBeRead(String test) throws Exception {
        // the comparator folds ASCII only: ö and Ö differ, ö and ö do not
        assertThat(holds(test.replace("köln", "Köln"))).isTrue();
    }

    @DisplayName("section 2.7.1: match types")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                ":is | frobnitzm | true",
                ":is | frobnitz | false",
                ":is | FROBNITZM | true",
                ":contains | frob | true",
                ":contains | nitz | true",
                ":contains | OBNI | true",
                ":contains | '' | true",
                ":contains | fronitz | false",
                ":matches | *nitz* | true",
                ":matches | frobnitz | false",
                ":matches | * | true",
                ":matches | ? | false",
                ":matches | frobnitz? | true",
                ":matches | frobnitzm? | false",
                ":matches | ????????? | true",
                ":matches | f*b*m | true",
                ":matches | *f*r*o*b*n*i*t*z*m* | true",
                ":matches | *mm | false",
                ":matches | frob*bnitzm | false",
                ":matches | '' | false"
            })
    void matchTypesShouldCompare(String type, String key, boolean expected) throws Exception {
        assertThat(Script.test("header " + type + " \"X-F\" \"" + key + "\"")
                        .message("X-F: Frobnitzm\n\n")
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 2.7.1: a backslash quotes a wildcard; in a script it is doubled")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a\\\\*b\\\\?c* | true",
                "a\\\\*b\\\\?c\\\\\\\\d | true",
                "a\\\\?b* | false",
                "*\\\\**\\\\?* | true",
                "a*b\\\\*c* | false"
            })
    void wildcardsShouldBeQuoted(String key, boolean expected) throws Exception {
        assertThat(holds("header :matches \"X-Stars\" \"" + key + "\"")).isEqualTo(expected);
    }

    @DisplayName("section 2.7.3: comparators")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "i;octet | :is | C8H10N4O2 | true",
                "i;octet | :is | c8h10n4o2 | false",
                "i;octet | :contains | h10 | false",
                "i;octet | :matches | c8* | false",
                "i;octet | :matches | C8* | true",
                "i;ascii-casemap | :is | c8h10n4o2 | true",
                "i;ascii-casemap | :matches | *H10* | true"
            })
    void comparatorsShouldDecideAboutCase(String comparator, String type, String key, boolean expected)
            throws Exception {
        assertThat(holds("header :comparator \"" + comparator + "\" " + type + " \"X-Caffeine\" \"" + key + "\""))
                .isEqualTo(expected);
    }

    @DisplayName("section 2.7.3: an unknown comparator, or one that cannot do what is asked, is an error")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "header :comparator \"i;foo\" \"A\" \"b\" | found comparator 'i;foo'",
                "header :contains :comparator \"i;ascii-numeric\" \"A\" \"1\" | compares whole numbers",
                "header :comparator \"A\" \"b\" | found comparator 'A'",
                "header :comparator 1 \"A\" \"b\" | expected a string after ':comparator'"
            })
    void wrongComparatorsShouldBeErrors(String test, String message) {
        assertThat(Script.test(test).errors())
                .anySatisfy(error -> assertThat(error).contains(message));
    }

    @DisplayName("sections 2.7.4 and 5.1: address parts")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "address :is :all \"from\" \"tim@example.com\" | true",
                "address \"from\" \"TIM@EXAMPLE.COM\" | true",
                "address :localpart \"from\" \"tim\" | true",
                "address :domain \"from\" \"example.com\" | true",
                "address :domain \"from\" \"sub.example.org\" | true",
                "address :domain \"from\" \"example.org\" | false",
                "address :domain :matches \"from\" \"*.example.org\" | true",
                "address :all :contains \"from\" \"Frobnitz\" | false",
                "address \"to\" \"bob@b.example\" | true",
                "address :contains \"to\" \"undisclosed\" | false",
                "address :localpart \"cc\" \"quoted local\" | true",
                "address :domain [\"to\", \"cc\"] [\"x.example\", \"c.example\"] | true",
                "address :is \"bcc\" \"\" | false",
                "address :contains \"bcc\" \"\" | false",
                "address :comparator \"i;octet\" :domain \"from\" \"sub.example.org\" | false"
            })
    void addressPartsShouldCompare(String test, boolean expected) throws Exception {
        assertThat(holds(test)).isEqualTo(expected);
    }

    @DisplayName("section 5.1: what holds no addresses is no field for the address test")
    @Test
    void addressTestShouldRefuseOtherFields() {
        assertThat(Script.test("address \"subject\" \"x\"").errors())
                .singleElement()
                .asString()
                .contains("found 'subject', which holds no addresses; use 'header'");
    }

    @DisplayName("section 5.1: an unreadable field matches as a whole and has no parts")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "address :contains \"from\" \"bad@contoso\" | true",
                "address :contains :domain \"from\" \"contoso\" | false",
                "not address :localpart :matches \"from\" \"*\" | true"
            })
    void unreadableAddressesShouldMatchAsAWhole(String test, boolean expected) throws Exception {
        assertThat(Script.test(test)
                        .message("From: bad@contoso.com> (unclosed\n\n")
                        .holds())
                .isEqualTo(expected);
    }

    @DisplayName("section 3.1: if, elsif, else; the RFC's example")
    @ParameterizedTest
    @CsvSource({"coyote@desert.example.org,postmaster@example.edu", "b@x.example,field@example.edu"})
    void branchesShouldBeTaken(String sender, String expected) throws Exception {
        Script script = Script.of(
                        """
                        if header :contains "from" "coyote" {
                           redirect "postmaster@example.edu";
                        } elsif header :contains "subject" "$$$" {
                           redirect "postmaster@example.com";
                        } else {
                           redirect "field@example.edu";
                        }
                        """)
                .message("From: " + sender + "\nSubject: x\n\n");
        assertThat(script.run().actions()).containsExactly(new RuleAction.Redirect(Script.address(expected), false));
    }

    @DisplayName("section 3.1: the second branch")
    @Test
    void theSecondBranchShouldBeTaken() throws Exception {
        Script script = Script.of(
                        """
                        if header :contains ["From"] ["coyote"] { redirect "a@example.edu"; }
                        elsif header :contains "subject" "$$$" { discard; }
                        """)
                .message(RICH);
        assertThat(script.run().actions()).containsExactly(new RuleAction.Discard());
        assertThat(Script.of("if false { keep; } elsif false { keep; } else { discard; stop; }")
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Discard());
    }

    @DisplayName("section 3.1: elsif and else without if, if without test or block are errors")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "else { keep; }",
                "elsif true { keep; }",
                "if { keep; }",
                "if true;",
                "if true { keep; } else { keep; } else { keep; }",
                "if true { keep; } else true { keep; }",
                "if (true, false) { keep; }",
                "if \"x\" true { keep; }",
                "keep { stop; }",
                "keep true;",
                "stop 1;",
                "require \"variables\", \"body\";"
            })
    void brokenControlShouldBeErrors(String script) {
        assertThat(Script.of(script).errors()).isNotEmpty();
    }

    @DisplayName("section 3.2: require comes first")
    @Test
    void lateRequireShouldBeAnError() {
        assertThat(Script.of("keep;\nrequire \"body\";").errors())
                .containsExactly(
                        "2: rule 'test', column 1: found 'require' after other commands, expected it to come first");
    }

    @DisplayName("section 3.2: what is used must be required; the comparators of the base need not be")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "if envelope \"from\" \"x\" { keep; } | envelope",
                "if header :regex \"A\" \"b\" { keep; } | regex",
                "if header :value \"gt\" \"A\" \"b\" { keep; } | relational",
                "if address :user \"from\" \"b\" { keep; } | subaddress",
                "redirect :copy \"a@b.c\"; | copy",
                "reject \"x\"; | reject",
                "ereject \"x\"; | ereject",
                "addheader \"A\" \"b\"; | editheader",
                "if environment \"name\" \"b\" { keep; } | environment",
                "if body \"b\" { keep; } | body",
                "if date \"date\" \"year\" \"b\" { keep; } | date",
                "if header :index 1 \"A\" \"b\" { keep; } | index",
                "set \"a\" \"b\"; | variables",
                "if header :list \"A\" \"b\" { keep; } | extlists",
                "if ihave \"x\" { keep; } | ihave",
                "if exists :mime \"A\" { keep; } | mime",
                "foreverypart { keep; } | foreverypart",
                "requiretls; | vnd.mailflow",
                "if header :comparator \"i;ascii-numeric\" \"A\" \"1\" { keep; } | comparator-i;ascii-numeric"
            })
    void whatIsUsedShouldBeRequired(String script, String extension) {
        assertThat(Script.of(script).errors())
                .anySatisfy(error -> assertThat(error).contains("needs: require \"" + extension + "\";"));
        assertThat(Script.of("if header :comparator \"i;octet\" \"A\" \"b\" { keep; }")
                        .errors())
                .isEmpty();
    }

    @DisplayName("section 4: actions, and stop (section 3.3)")
    @Test
    void actionsShouldBeInOrder() throws Exception {
        Script script = Script.of("keep; redirect \"bart@example.com\"; stop; discard;");
        assertThat(script.run().actions())
                .containsExactly(
                        new RuleAction.Keep(), new RuleAction.Redirect(Script.address("bart@example.com"), false));
        assertThat(script.run().stopped()).isTrue();
        assertThat(script.problems()).singleElement().asString().contains("warning", "'discard' is never reached");
    }

    @DisplayName("section 2.10.2: without an action nothing is done")
    @Test
    void noActionShouldBeNoHit() throws Exception {
        assertThat(Script.of("if false { discard; }").run().hit()).isFalse();
        assertThat(Script.of("").run().actions()).isEmpty();
    }

    @DisplayName("section 5.2 to 5.8: allof, anyof, not, true, false")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "true | true",
                "false | false",
                "not false | true",
                "not not true | true",
                "allof (true, true) | true",
                "allof (true, false) | false",
                "anyof (false, true) | true",
                "anyof (false, false) | false",
                "allof (true, anyof (false, not false)) | true",
                "allof (exists \"From\", header :contains \"X-Twice\" \"first\") | true",
                "anyof (exists \"Nothing\", size :over 1M) | false"
            })
    void logicShouldHold(String test, boolean expected) throws Exception {
        assertThat(holds(test)).isEqualTo(expected);
    }

    @DisplayName("section 5.5: exists needs every field")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "exists \"From\" | true",
                "exists [\"From\", \"x-empty\"] | true",
                "exists [\"From\", \"Nothing\"] | false",
                "not exists [\"From\", \"Date\"] | true"
            })
    void existsShouldNeedEveryField(String test, boolean expected) throws Exception {
        assertThat(holds(test)).isEqualTo(expected);
    }

    @DisplayName("section 5.9: size is strict at both ends")
    @ParameterizedTest
    @CsvSource({"99,false,true", "100,false,false", "101,true,false"})
    void sizeShouldBeStrict(int size, boolean over, boolean under) throws Exception {
        assertThat(Script.test("size :over 100").bytes(sized(size)).holds()).isEqualTo(over);
        assertThat(Script.test("size :under 100").bytes(sized(size)).holds()).isEqualTo(under);
    }

    @DisplayName("section 5.4: envelope")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "tim@example.com | envelope :all :is \"from\" \"tim@example.com\" | true",
                "tim@example.com | envelope \"FROM\" \"TIM@example.com\" | true",
                "tim@example.com | envelope :domain \"from\" \"example.com\" | true",
                "tim@example.com | envelope :localpart \"from\" \"tim\" | true",
                "tim@example.com | envelope :localpart \"from\" \"tom\" | false",
                "tim@example.com | envelope \"to\" \"ann@fabrikam.com\" | true",
                "tim@example.com | envelope [\"from\", \"to\"] \"ann@fabrikam.com\" | true",
                "tim@example.com | envelope :domain \"to\" [\"contoso.com\", \"Fabrikam.com\"] | true",
                "'' | envelope \"from\" \"\" | true",
                "'' | envelope :localpart \"from\" \"\" | true",
                "'' | envelope :domain \"from\" \"\" | true",
                "'' | envelope :matches \"from\" \"?*\" | false",
                "tim@example.com | envelope \"from\" \"\" | false"
            })
    void envelopeShouldCompare(String sender, String test, boolean expected) throws Exception {
        assertThat(Script.test(test).from(sender).holds()).isEqualTo(expected);
    }

    @DisplayName("section 5.4: only the recipient makes a script depend on it")
    @Test
    void envelopeToShouldDependOnTheRecipient() {
        assertThat(Script.test("envelope \"to\" \"x\"").compiled().dependsOnRecipient())
                .isTrue();
        assertThat(Script.test("envelope [\"from\", \"to\"] \"x\"").compiled().dependsOnRecipient())
                .isTrue();
        assertThat(Script.test("envelope \"from\" \"x\"").compiled().dependsOnRecipient())
                .isFalse();
        assertThat(Script.test("address \"to\" \"x\"").compiled().dependsOnRecipient())
                .isFalse();
    }

    @DisplayName("section 2.6.2: tags come first and are known")
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "header \"A\" :is \"b\" | expected tags to come first",
                "header :all \"A\" \"b\" | has no tag ':all'",
                "header :is :is \"A\" \"b\" | found ':is' twice",
                "header \"A\" | expects a string or a list of strings: keys to compare with",
                "header \"A\" 3 | expected a string or a list of strings",
                "header \"A\" \"b\" \"c\" | takes no more arguments",
                "header \"A:\" \"b\" | expected the name of a header field, without colon",
                "header \"\" \"b\" | expected the name of a header field",
                "exists 1 | expected a string or a list of strings",
                "size :over \"1\" | expected a number",
                "size 1 | expected ':over' or ':under'",
                "size :over :under 1 | found ':under' beside ':over'",
                "true \"x\" | takes no more arguments",
                "not (true) | takes no list of tests",
                "not \"x\" true | takes no more arguments",
                "allof true | expects tests in parentheses",
                "address :domain :localpart \"from\" \"x\" | found ':localpart' beside ':domain'",
                "heeder \"A\" \"b\" | unknown test 'heeder', did you mean 'header'?",
                "envelope \"auth\" \"x\" | found 'auth', expected \"from\" or \"to\""
            })
    void wrongArgumentsShouldBeErrors(String test, String message) {
        assertThat(Script.test(test).errors())
                .anySatisfy(error -> assertThat(error).contains(message));
    }

    @DisplayName("section 2.10.5: 15 levels of nesting at least")
    @Test
    void nestingShouldBeAllowed() throws Exception {
        String deep = "if true { ".repeat(30) + "keep;" + " }".repeat(30);
        assertThat(Script.of(deep).holds()).isTrue();
        assertThat(Script.test("not ".repeat(40) + "true").holds()).isTrue();
        assertThat(Script.test("allof (".repeat(30) + "true" + ")".repeat(30)).holds())
                .isTrue();
    }

    @DisplayName("section 2.10.5: the nesting has an end, with an error instead of an overflow")
    @ParameterizedTest
    @ValueSource(ints = {200, 100_000})
    void tooMuchNestingShouldBeAnError(int levels) {
        assertThat(Script.of("if true { ".repeat(levels) + "keep;" + " }".repeat(levels))
                        .errors())
                .singleElement()
                .asString()
                .contains("levels of nesting");
        assertThat(Script.test("not ".repeat(levels) + "true").errors()).hasSize(1);
        assertThat(Script.test("allof (".repeat(levels) + "true" + ")".repeat(levels))
                        .errors())
                .hasSize(1);
        assertThat(Script.test("anyof (true, not ".repeat(levels) + "true" + ")".repeat(levels))
                        .errors())
                .hasSize(1);
    }

    @DisplayName("section 2.10.4: actions have an end")
    @Test
    void actionsShouldBeBounded() {
        assertThat(Script.of("redirect \"a@b.example\";".repeat(Execution.MAX_ACTIONS))
                        .problems())
                .isEmpty();
        assertThatThrownBy(() ->
                        Script.of("keep;".repeat(Execution.MAX_ACTIONS + 1)).run())
                .isInstanceOf(RuleScriptException.class)
                .hasMessageContaining("more than " + Execution.MAX_ACTIONS + " actions");
    }

    @DisplayName("section 4.2: redirect takes one address")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "redirect;",
                "redirect \"\";",
                "redirect \"a\";",
                "redirect \"a@\";",
                "redirect [\"a@b.c\", \"d@e.f\"];",
                "redirect \"Joe <a@b.c>\";",
                "redirect \"a@b.c\r\n\";",
                "redirect 1;"
            })
    void redirectShouldWantAnAddress(String script) {
        assertThat(Script.of(script).errors()).isNotEmpty();
    }

    @DisplayName("section 9: the extended example's decisions, without folders")
    @Test
    void theExtendedExampleShouldDecide() throws Exception {
        String script =
                """
                require ["reject", "vnd.mailflow"];
                if header :is "Sender" "owner-ietf-mta-filters@imc.org" {
                    quarantine "filter";
                } elsif address :DOMAIN :is ["From", "To"] "example.com" {
                    keep;
                } elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
                               header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) {
                    quarantine "spam";
                } else {
                    redirect "acm@example.com";
                }
                """;
        assertThat(Script.of(script).message(COYOTE).run().actions())
                .containsExactly(new RuleAction.Quarantine("spam"));
        assertThat(Script.of(script)
                        .message(COYOTE.replace("acme.example.com", "example.com"))
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Keep());
        assertThat(Script.of(script)
                        .message(COYOTE.replace("roadrunner@acme.example.com", "me@example.com, x@y.example")
                                .replace("From: coyote@desert.example.org", "From: x@desert.example.org"))
                        .run()
                        .actions())
                .containsExactly(new RuleAction.Keep());
    }
}
