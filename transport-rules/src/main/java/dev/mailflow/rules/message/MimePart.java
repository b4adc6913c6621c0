/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.rules.message;

import java.util.List;
import java.util.Map;
import java.util.Optional;

import dev.mailflow.policy.header.HeaderField;
import dev.mailflow.policy.header.HeaderSection;
import dev.mailflow.rules.match.Value;

/** One entity of a message (RFC 2045 section 2.4): the message itself, a multipart, an embedded message or a leaf. */
public final class MimePart {
    /** How the bytes of a leaf are encoded (RFC 2045 section 6). */
    enum Encoding {
        IDENTITY,
        BASE64,
        QUOTED_PRINTABLE
    }

    /** From the first byte to before the last one, counted from the start of the body. */
    record Span(long start, long end) {}

    private final int depth;
    private final HeaderSection header;
    private final StructuredField contentType;
    private final Optional<StructuredField> disposition;
    private final Encoding encoding;
    private HeaderIndex index;
    private int descendants;
    private List<Span> spans = List.of();
    private long decodedSize;

    MimePart(int depth, HeaderSection header, String defaultType) {
        this.depth = depth;
        this.header = header;
        this.contentType = first(header, "content-type")
                .map(StructuredField::of)
                .filter(field -> isType(field.value()))
                .orElseGet(() -> new StructuredField(defaultType, Map.of()));
        this.disposition = first(header, "content-disposition").map(StructuredField::of);
        this.encoding = first(header, "content-transfer-encoding")
                .map(field -> FieldText.unfolded(field).toLowerCase(java.util.Locale.ROOT))
                .map(MimePart::encoding)
                .orElse(Encoding.IDENTITY);
    }

    private static Optional<HeaderField> first(HeaderSection header, String name) {
        for (HeaderField field : header.fields()) {
            if (field.raw().length() > name.length() && HeaderIndex.name(field).equals(name)) {
                return Optional.of(field);
            }
        }
        return Optional.empty();
    }

    private static boolean isType(String type) {
        int slash = type.indexOf('/');
        return slash > 0 && slash == type.lastIndexOf('/') && slash < type.length() - 1;
    }

    private static Encoding encoding(String name) {
        return name.startsWith("base64")
                ? Encoding.BASE64
                : name.startsWith("quoted-printable") ? Encoding.QUOTED_PRINTABLE : Encoding.IDENTITY;
    }

    /** The header of the entity. */
    public HeaderIndex header() {
        HeaderIndex known = index;
        if (known == null) {
            known = HeaderIndex.of(header);
            index = known;
        }
        return known;
    }

    /** How many entities it is inside of. */
    int depth() {
        return depth;
    }

    /** How many entities are inside it; in the order of the message they follow it. */
    public int descendants() {
        return descendants;
    }

    void descendants(int count) {
        descendants = count;
    }

    /** In lower case, e.g. {@code text/plain}. */
    public String contentType() {
        return contentType.value();
    }

    public String type() {
        return contentType().substring(0, contentType().indexOf('/'));
    }

    public String subtype() {
        return contentType().substring(contentType().indexOf('/') + 1);
    }

    StructuredField contentTypeField() {
        return contentType;
    }

    Encoding encoding() {
        return encoding;
    }

    Optional<String> charset() {
        return contentType.parameter("charset");
    }

    boolean isMultipart() {
        return type().equals("multipart") && contentType.parameter("boundary").isPresent();
    }

    /** Whether the entity in it can be read: an encoded one cannot (RFC 2046 section 5.2.1 forbids it). */
    boolean isMessage() {
        return encoding == Encoding.IDENTITY
                && (contentType().equals("message/rfc822") || contentType().equals("message/global"));
    }

    /** For a leaf its content; for a multipart prologue and epilogue; for a message its header. */
    List<Span> spans() {
        return spans;
    }

    void spans(List<Span> found) {
        spans = List.copyOf(found);
    }

    /** Bytes of the content of a leaf, its transfer encoding removed. */
    public long decodedSize() {
        return decodedSize;
    }

    void decodedSize(long size) {
        decodedSize = size;
    }

    /** The name that the sender gave to the file: the disposition's, else the type's (RFC 2183 section 2.3). */
    public Optional<Value> fileName() {
        return disposition
                .flatMap(field -> field.parameter("filename"))
                .or(() -> contentType.parameter("name"))
                .map(Value::of);
    }

    /**
     * Whether a reader would show it as a file: it is marked as an attachment, has a name, or is neither text nor a
     * container; an embedded message is a file too.
     */
    public boolean isAttachment() {
        if (depth == 0 && !disposition.isPresent() && fileName().isEmpty() && !isOpaque()) {
            return false;
        }
        return !isMultipart()
                && (disposition
                                .filter(field -> field.value().equals("attachment"))
                                .isPresent()
                        || fileName().isPresent()
                        || isOpaque());
    }

    private boolean isOpaque() {
        return !type().equals("text") && !type().equals("multipart");
    }
}
