/* Writes JSON. The text grows in memory of the call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

static void append(kennel_writer *writer, const char *data, size_t length) {
    if (writer->capacity - writer->length <= length) {
        size_t capacity = (writer->length + length + 1) * 2;
        char *grown = (char *)kennel_call_memory(capacity < 128 ? 128 : capacity);
        if (writer->length > 0) {
            memcpy(grown, writer->data, writer->length);
        }
        writer->data = grown;
        writer->capacity = capacity < 128 ? 128 : capacity;
    }
    if (length > 0) {
        memcpy(writer->data + writer->length, data, length);
        writer->length += length;
    }
}

static void begin_value(kennel_writer *writer) {
    if (writer->needs_comma) {
        append(writer, ",", 1);
    }
    writer->needs_comma = true;
}

static void write_scalar(kennel_writer *writer, const char *text) {
    begin_value(writer);
    append(writer, text, strlen(text));
}

static void open(kennel_writer *writer, const char *bracket) {
    begin_value(writer);
    append(writer, bracket, 1);
    writer->needs_comma = false;
}

static void close(kennel_writer *writer, const char *bracket) {
    append(writer, bracket, 1);
    writer->needs_comma = true;
}

void kennel_write_object(kennel_writer *writer) {
    open(writer, "{");
}

void kennel_write_object_end(kennel_writer *writer) {
    close(writer, "}");
}

void kennel_write_array(kennel_writer *writer) {
    open(writer, "[");
}

void kennel_write_array_end(kennel_writer *writer) {
    close(writer, "]");
}

void kennel_write_name(kennel_writer *writer, kennel_text name) {
    kennel_write_text(writer, name);
    append(writer, ":", 1);
    writer->needs_comma = false;
}

void kennel_write_null(kennel_writer *writer) {
    write_scalar(writer, "null");
}

void kennel_write_boolean(kennel_writer *writer, bool value) {
    write_scalar(writer, value ? "true" : "false");
}

void kennel_write_unsigned(kennel_writer *writer, uint64_t value) {
    char digits[24];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    write_scalar(writer, first);
}

void kennel_write_integer(kennel_writer *writer, int64_t value) {
    if (value >= 0) {
        kennel_write_unsigned(writer, (uint64_t)value);
        return;
    }
    begin_value(writer);
    append(writer, "-", 1);
    writer->needs_comma = false;
    kennel_write_unsigned(writer, 0 - (uint64_t)value);
}

void kennel_write_number(kennel_writer *writer, double value) {
    if (value != value || value - value != 0) {
        kennel_reject("a number that is infinite or none has no JSON form");
    }
    char text[32];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    if (strpbrk(text, ".e") == NULL) {
        strcat(text, ".0");
    }
    write_scalar(writer, text);
}

static void append_escaped(kennel_writer *writer, unsigned char c) {
    static const char characters[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    const char *found = c == '\0' ? NULL : strchr(characters, c);
    if (found != NULL) {
        char escape[2] = {'\\', escapes[found - characters]};
        append(writer, escape, 2);
    } else {
        static const char digits[] = "0123456789abcdef";
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        append(writer, escape, 6);
    }
}

void kennel_write_text(kennel_writer *writer, kennel_text text) {
    if (!kennel_is_utf8(text.data, text.length)) {
        kennel_reject("a text of %zu bytes is not UTF-8", text.length);
    }
    begin_value(writer);
    append(writer, "\"", 1);
    size_t start = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            append(writer, text.data + start, i - start);
            append_escaped(writer, c);
            start = i + 1;
        }
    }
    append(writer, text.data + start, text.length - start);
    append(writer, "\"", 1);
}

void kennel_write_json(kennel_writer *writer, kennel_json value) {
    begin_value(writer);
    append(writer, value.data == NULL ? "null" : value.data, value.data == NULL ? 4 : value.length);
}

kennel_text kennel_written(kennel_writer *writer) {
    append(writer, "", 0);
    writer->data[writer->length] = '\0';
    return (kennel_text){writer->data, writer->length};
}
