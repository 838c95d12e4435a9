/* Writes JSON. The text grows in memory of the call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

#define CAPACITY_FIRST ((size_t)256)

/* Makes room for so many bytes and a NUL. */
static char *reserve(kennel_writer *writer, size_t length) {
    if (writer->capacity - writer->length <= length) {
        size_t capacity = (writer->length + length + 1) * 2;
        capacity = capacity < CAPACITY_FIRST ? CAPACITY_FIRST : capacity;
        char *grown = (char *)kennel_call_memory(capacity);
        if (writer->length > 0) {
            memcpy(grown, writer->data, writer->length);
        }
        writer->data = grown;
        writer->capacity = capacity;
    }
    return writer->data + writer->length;
}

static void append(kennel_writer *writer, const char *data, size_t length) {
    kennel_copy(reserve(writer, length), data, length);
    writer->length += length;
}

static void append_byte(kennel_writer *writer, char byte) {
    *reserve(writer, 1) = byte;
    writer->length++;
}

static void begin_value(kennel_writer *writer) {
    if (writer->needs_comma) {
        append_byte(writer, ',');
    }
    writer->needs_comma = true;
}

static void write_scalar(kennel_writer *writer, const char *text) {
    begin_value(writer);
    append(writer, text, strlen(text));
}

static void open(kennel_writer *writer, char bracket) {
    begin_value(writer);
    append_byte(writer, bracket);
    writer->needs_comma = false;
}

static void close(kennel_writer *writer, char bracket) {
    append_byte(writer, bracket);
    writer->needs_comma = true;
}

void kennel_write_object(kennel_writer *writer) {
    open(writer, '{');
}

void kennel_write_object_end(kennel_writer *writer) {
    close(writer, '}');
}

void kennel_write_array(kennel_writer *writer) {
    open(writer, '[');
}

void kennel_write_array_end(kennel_writer *writer) {
    close(writer, ']');
}

void kennel_write_name(kennel_writer *writer, kennel_text name) {
    kennel_write_text(writer, name);
    append_byte(writer, ':');
    writer->needs_comma = false;
}

void kennel_write_null(kennel_writer *writer) {
    write_scalar(writer, "null");
}

void kennel_write_boolean(kennel_writer *writer, bool value) {
    write_scalar(writer, value ? "true" : "false");
}

static void write_digits(kennel_writer *writer, uint64_t value, bool is_negative) {
    char digits[24];
    char *end = digits + sizeof digits, *first = end;
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (is_negative) {
        *--first = '-';
    }
    begin_value(writer);
    append(writer, first, (size_t)(end - first));
}

void kennel_write_unsigned(kennel_writer *writer, uint64_t value) {
    write_digits(writer, value, false);
}

void kennel_write_integer(kennel_writer *writer, int64_t value) {
    write_digits(writer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
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

/* How many bytes at the start are written as they are, without a look at what comes before or behind them. */
static size_t plain_bytes(kennel_text text) {
    size_t i = 0;
    while (i < text.length && (unsigned char)text.data[i] >= 0x20 && (unsigned char)text.data[i] < 0x80 &&
           text.data[i] != '"' && text.data[i] != '\\') {
        i++;
    }
    return i;
}

void kennel_write_text(kennel_writer *writer, kennel_text text) {
    size_t start = 0, i = plain_bytes(text);
    if (i < text.length && !kennel_is_utf8(text.data + i, text.length - i)) {
        kennel_reject("a text of %zu bytes is not UTF-8", text.length);
    }
    begin_value(writer);
    append_byte(writer, '"');
    for (; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            append(writer, text.data + start, i - start);
            append_escaped(writer, c);
            start = i + 1;
        }
    }
    append(writer, text.data + start, text.length - start);
    append_byte(writer, '"');
}

void kennel_write_json(kennel_writer *writer, kennel_json value) {
    begin_value(writer);
    append(writer, value.data == NULL ? "null" : value.data, value.data == NULL ? 4 : value.length);
}

kennel_text kennel_written(kennel_writer *writer) {
    *reserve(writer, 0) = '\0';
    return (kennel_text){writer->data, writer->length};
}
