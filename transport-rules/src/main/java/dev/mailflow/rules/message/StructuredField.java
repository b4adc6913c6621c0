/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import org.apache.james.mime4j.MimeException;
import org.apache.james.mime4j.stream.NameValuePair;
import org.apache.james.mime4j.stream.RawBody;
import org.apache.james.mime4j.stream.RawFieldParser;
import org.apache.james.mime4j.util.ByteArrayBuffer;
import org.apache.james.mime4j.util.MimeParameterMapping;

import dev.mailflow.policy.header.HeaderField;

/**
 * A field of a value and parameters, such as Content-Type (RFC 2045 section 5.1).
 *
 * @param value in lower case
 * @param parameters by name in lower case; continuations and character sets of RFC 2231 and, where a parameter should not
 *     have them, encoded words are resolved
 */
record StructuredField(String value, Map<String, String> parameters) {

    static StructuredField of(HeaderField field) {
        String text = FieldText.unfolded(field);
        byte[] bytes = ("X:" + text).getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        try {
            RawBody body = RawFieldParser.DEFAULT.parseRawBody(
                    RawFieldParser.DEFAULT.parseField(new ByteArrayBuffer(bytes, true)));
            String value = body.getValue() == null ? "" : body.getValue().trim();
            return new StructuredField(value.toLowerCase(Locale.ROOT), parameters(body));
        } catch (MimeException e) {
            return new StructuredField("", Map.of());
        }
    }

    private static Map<String, String> parameters(RawBody body) {
        Map<String, String> plain = new LinkedHashMap<>();
        MimeParameterMapping mapping = new MimeParameterMapping();
        for (NameValuePair pair : body.getParams()) {
            if (pair.getName() != null && pair.getValue() != null) {
                String name = pair.getName().toLowerCase(Locale.ROOT);
                plain.putIfAbsent(name, pair.getValue());
                mapping.addParameter(name, pair.getValue());
            }
        }
        try {
            Map<String, String> all = new LinkedHashMap<>();
            mapping.getParameters().forEach((name, value) -> all.put(name, FieldText.decoded(value)));
            return all;
        } catch (RuntimeException e) {
            // broken escapes or an unknown character set
            return plain;
        }
    }

    Optional<String> parameter(String name) {
        return Optional.ofNullable(parameters.get(name));
    }
}
