/* What a document may be: JSON that SQLite and PostgreSQL can both hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json_scan.h"
#include "memory.h"

/* A number: its digits without the point, and how many of them are before it. */
typedef struct decimal {
    bool is_negative;
    kennel_text digits; /* without zeros at the start */
    int64_t before;
    int64_t written_behind; /* digits behind the point as they are written out, zeros included */
} decimal;

static decimal decimal_of(kennel_json number) {
    decimal made = {number.data[0] == '-', {NULL, 0}, 0, 0};
    char *digits = (char *)kennel_call_memory(number.length + 1);
    size_t count = 0, i = made.is_negative;
    int64_t behind = 0, exponent = 0;
    bool is_behind = false;
    for (; i < number.length && number.data[i] != 'e' && number.data[i] != 'E'; i++) {
        if (number.data[i] == '.') {
            is_behind = true;
            continue;
        }
        behind += is_behind;
        if (count > 0 || number.data[i] != '0') {
            digits[count++] = number.data[i];
        }
    }
    bool is_small = i + 1 < number.length && number.data[i + 1] == '-';
    for (i++; i < number.length; i++) {
        if (number.data[i] >= '0' && number.data[i] <= '9' && exponent < 1000000000) {
            exponent = exponent * 10 + (number.data[i] - '0');
        }
    }
    exponent = is_small ? -exponent : exponent;
    made.digits = (kennel_text){digits, count};
    made.before = count == 0 ? 0 : (int64_t)count - behind + exponent;
    made.written_behind = behind > exponent ? behind - exponent : 0;
    return made;
}

/* What a walk through a document adds up. */
typedef struct survey {
    int64_t grown; /* bytes by which numbers are longer once written out */
    const char *fault;
} survey;

static void survey_number(kennel_json number, survey *of) {
    decimal read = decimal_of(number);
    if (read.before > KENNEL_DIGITS_BEFORE_MAX || read.written_behind > KENNEL_DIGITS_BEHIND_MAX) {
        of->fault = "has a number with more than 131072 digits before or 16383 behind the decimal point";
        return;
    }
    int64_t whole = read.before > 1 ? read.before : 1;
    int64_t written = read.is_negative + whole + (read.written_behind > 0 ? 1 + read.written_behind : 0);
    of->grown += written > (int64_t)number.length ? written - (int64_t)number.length : 0;
}

static void survey_text(kennel_json string, survey *of) {
    kennel_text text = kennel_unescape(string);
    if (text.data == NULL) {
        of->fault = "has half of a surrogate pair";
    } else if (memchr(text.data, 0, text.length) != NULL) {
        of->fault = "has the character NUL";
    }
}

static int compare_names(const void *left, const void *right) {
    const kennel_text *one = (const kennel_text *)left, *other = (const kennel_text *)right;
    size_t shorter = one->length < other->length ? one->length : other->length;
    int order = memcmp(one->data, other->data, shorter);
    return order != 0 ? order : one->length < other->length ? -1 : one->length > other->length;
}

/* Moves past a name, its value and the comma, and gives the name as it is written. */
static kennel_json next_name(kennel_scan_state *state) {
    kennel_json name = {state->at, 0};
    kennel_scan_name(state, &name.length);
    kennel_scan_value(state);
    kennel_scan_space(state);
    state->at += state->at < state->end; /* the comma */
    kennel_scan_space(state);
    return name;
}

static const char *names_fault(kennel_json_walk walk) {
    kennel_scan_state state = {walk.at, walk.end, NULL};
    kennel_scan_space(&state);
    kennel_text *names = (kennel_text *)kennel_alloc(((size_t)(walk.end - walk.at) / 4 + 1) * sizeof *names);
    size_t count = 0;
    survey found = {0, NULL};
    while (state.at < state.end && found.fault == NULL) {
        kennel_json name = next_name(&state);
        survey_text(name, &found);
        names[count++] = kennel_unescape(name);
    }
    if (found.fault != NULL) {
        return found.fault;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (kennel_text_equals(names[i - 1], names[i])) {
            return "has an object with a key twice";
        }
    }
    return NULL;
}

static void survey_value(kennel_json value, survey *of) {
    kennel_json_kind kind = kennel_json_kind_of(value);
    if (kind == KENNEL_JSON_NUMBER) {
        survey_number(value, of);
    } else if (kind == KENNEL_JSON_TEXT) {
        survey_text(value, of);
    } else if (kind == KENNEL_JSON_ARRAY || kind == KENNEL_JSON_OBJECT) {
        kennel_json_walk walk = kennel_json_begin(value);
        of->fault = walk.is_object ? names_fault(walk) : NULL;
        while (of->fault == NULL && kennel_json_next(&walk)) {
            survey_value(walk.value, of);
        }
    }
}

const char *kit_document_fault(kennel_text document) {
    if (document.length > KENNEL_DOCUMENT_BYTES_MAX) {
        return kennel_format("has %zu bytes, more than %zu", document.length, KENNEL_DOCUMENT_BYTES_MAX).data;
    }
    if (!kennel_is_utf8(document.data, document.length)) {
        return "is not UTF-8";
    }
    const char *error = NULL;
    size_t error_at = 0;
    kennel_json value = kennel_scan_text(document, &error, &error_at);
    if (value.data == NULL) {
        return kennel_format("is not JSON: %s at byte %zu", error, error_at).data;
    }
    survey found = {0, NULL};
    survey_value(value, &found);
    if (found.fault == NULL && (int64_t)document.length + found.grown > (int64_t)KENNEL_DOCUMENT_BYTES_MAX) {
        return "has more than 1048576 bytes once its numbers are written out";
    }
    return found.fault;
}

/* A whole number that fits 64 bits, however it is written. */
static bool whole_number(kennel_json number, int64_t *value) {
    decimal read = decimal_of(number);
    while (read.digits.length > 0 && read.digits.data[read.digits.length - 1] == '0') {
        read.digits.length--;
    }
    bool is_whole = (int64_t)read.digits.length <= read.before || read.digits.length == 0;
    if (!is_whole || read.before > 19) {
        return false;
    }
    char text[24];
    int length =
        snprintf(text, sizeof text, "%s%.*s", read.is_negative ? "-" : "", (int)read.digits.length, read.digits.data);
    for (int64_t i = (int64_t)read.digits.length; i < read.before || length == read.is_negative; i++) {
        text[length++] = '0';
    }
    return kennel_parse_integer((kennel_json){text, (size_t)length}, value);
}

const char *kit_add(kennel_text document, kennel_text field, int64_t by, kennel_text *sum) {
    kennel_json object = kennel_json_parse(document);
    if (kennel_json_kind_of(object) != KENNEL_JSON_OBJECT) {
        return "is not a field of a JSON object";
    }
    kennel_json found = kennel_json_find(object, field.data);
    kennel_json_kind kind = kennel_json_kind_of(found);
    bool counts_as_zero = kind == KENNEL_JSON_NONE || kind == KENNEL_JSON_NULL;
    int64_t before = 0, after;
    if (!counts_as_zero && (kind != KENNEL_JSON_NUMBER || !whole_number(found, &before))) {
        return "is not a whole number that fits 64 bits";
    }
    if (__builtin_add_overflow(before, by, &after)) {
        return "leaves the range of 64 bits";
    }
    const char *end = object.data + object.length - 1; /* behind the last field, as the host does it */
    while (strchr(" \t\n\r", end[-1]) != NULL) {
        end--;
    }
    kennel_json_walk walk = kennel_json_begin(object);
    kennel_writer added = {.needs_comma = kennel_json_next(&walk)};
    if (kind == KENNEL_JSON_NONE) {
        kennel_write_name(&added, field);
        found = (kennel_json){end, 0};
    } else {
        added.needs_comma = false;
    }
    kennel_write_integer(&added, after);
    kennel_text middle = kennel_written(&added);
    size_t start = (size_t)(found.data - document.data), rest = document.length - start - found.length;
    *sum = kennel_format("%.*s%s%.*s", (int)start, document.data, middle.data, (int)rest, found.data + found.length);
    return NULL;
}

typedef struct member {
    kennel_text name; /* the first, for `compare_names` */
    kennel_json value;
} member;

/* The fields of an object in the order of their names. */
static member *members_of(kennel_json object, size_t *count) {
    kennel_json_walk walk = kennel_json_begin(object);
    member *members = (member *)kennel_alloc((object.length / 4 + 1) * sizeof *members);
    for (*count = 0; kennel_json_next(&walk); ++*count) {
        members[*count] = (member){walk.name, walk.value};
    }
    qsort(members, *count, sizeof *members, compare_names);
    return members;
}

static void write_canonical(kennel_writer *writer, kennel_json value);

static void write_number(kennel_writer *writer, kennel_json number) {
    decimal read = decimal_of(number);
    while (read.digits.length > 0 && read.digits.data[read.digits.length - 1] == '0') {
        read.digits.length--;
    }
    bool is_zero = read.digits.length == 0;
    kennel_text text = is_zero ? kennel_text_of("0")
                               : kennel_format("%s0.%.*se%lld", read.is_negative ? "-" : "", (int)read.digits.length,
                                               read.digits.data, (long long)read.before);
    int64_t whole;
    if (whole_number(number, &whole)) {
        kennel_write_integer(writer, whole);
    } else {
        kennel_write_json(writer, (kennel_json){text.data, text.length});
    }
}

static void write_canonical(kennel_writer *writer, kennel_json value) {
    kennel_json_kind kind = kennel_json_kind_of(value);
    if (kind == KENNEL_JSON_OBJECT) {
        size_t count;
        member *members = members_of(value, &count);
        kennel_write_object(writer);
        for (size_t i = 0; i < count; i++) {
            kennel_write_name(writer, members[i].name);
            write_canonical(writer, members[i].value);
        }
        kennel_write_object_end(writer);
    } else if (kind == KENNEL_JSON_ARRAY) {
        kennel_write_array(writer);
        for (kennel_json_walk walk = kennel_json_begin(value); kennel_json_next(&walk);) {
            write_canonical(writer, walk.value);
        }
        kennel_write_array_end(writer);
    } else if (kind == KENNEL_JSON_NUMBER) {
        write_number(writer, value);
    } else if (kind == KENNEL_JSON_TEXT) {
        kennel_write_text(writer, kennel_json_text(value));
    } else {
        kennel_write_json(writer, value);
    }
}

kennel_text kit_canonical(kennel_json value) {
    kennel_writer writer = {0};
    write_canonical(&writer, value);
    return kennel_written(&writer);
}
