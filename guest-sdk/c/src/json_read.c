/* Values of JSON text, one at a time. Nothing is kept: a value is a piece of the text that it came from. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json_scan.h"

/* How much of a value a message shows. */
#define SHOWN_BYTES_MAX 40

kennel_json kennel_json_parse(kennel_text text) {
    const char *error = NULL;
    size_t error_at = 0;
    kennel_json value = kennel_scan_text(text, &error, &error_at);
    if (value.data == NULL) {
        kennel_reject("the text is not JSON: %s at byte %zu", error, error_at);
    }
    return value;
}

kennel_json_kind kennel_json_kind_of(kennel_json value) {
    if (value.data == NULL) {
        return KENNEL_JSON_NONE;
    }
    switch (value.data[0]) {
    case 'n':
        return KENNEL_JSON_NULL;
    case 't':
    case 'f':
        return KENNEL_JSON_BOOLEAN;
    case '"':
        return KENNEL_JSON_TEXT;
    case '[':
        return KENNEL_JSON_ARRAY;
    case '{':
        return KENNEL_JSON_OBJECT;
    default:
        return KENNEL_JSON_NUMBER;
    }
}

kennel_text kennel_json_shown(kennel_json value) {
    static const char *const names[] = {"nothing", "null", "", "number ", "string ", "an array", "an object"};
    kennel_json_kind kind = kennel_json_kind_of(value);
    if (kind != KENNEL_JSON_BOOLEAN && kind != KENNEL_JSON_NUMBER && kind != KENNEL_JSON_TEXT) {
        return kennel_text_of(names[kind]);
    }
    bool is_long = value.length > SHOWN_BYTES_MAX;
    kennel_text start = kennel_call_copy(value.data, is_long ? SHOWN_BYTES_MAX : value.length);
    return kennel_format("%s%s%s", names[kind], start.data, is_long ? "..." : "");
}

static _Noreturn void reject_kind(kennel_json value, const char *expected) {
    kennel_reject("%s is expected, found %s", expected, kennel_json_shown(value).data);
}

int64_t kennel_json_integer(kennel_json value) {
    int64_t number;
    if (kennel_json_kind_of(value) != KENNEL_JSON_NUMBER || !kennel_parse_integer(value, &number)) {
        reject_kind(value, "a whole number that fits 64 bits");
    }
    return number;
}

uint64_t kennel_json_unsigned(kennel_json value) {
    uint64_t number;
    if (kennel_json_kind_of(value) != KENNEL_JSON_NUMBER || !kennel_parse_unsigned(value, &number)) {
        reject_kind(value, "a whole number of at least 0 that fits 64 bits");
    }
    return number;
}

bool kennel_json_boolean(kennel_json value) {
    if (kennel_json_kind_of(value) != KENNEL_JSON_BOOLEAN) {
        reject_kind(value, "true or false");
    }
    return value.data[0] == 't';
}

double kennel_json_number(kennel_json value) {
    if (kennel_json_kind_of(value) != KENNEL_JSON_NUMBER) {
        reject_kind(value, "a number");
    }
    return strtod(kennel_call_copy(value.data, value.length).data, NULL);
}

kennel_text kennel_json_text(kennel_json value) {
    if (kennel_json_kind_of(value) != KENNEL_JSON_TEXT) {
        reject_kind(value, "a string");
    }
    kennel_text text = kennel_unescape(value);
    if (text.data == NULL) {
        kennel_reject("%s has half of a surrogate pair", kennel_json_shown(value).data);
    }
    return text;
}

static unsigned hex4(const char *digits) {
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        code = code * 16 + digit;
    }
    return code;
}

static char *put_character(char *to, unsigned code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The character of `\uXXXX`, or of two of them. Moves past it; gives a surrogate if its other half is missing. */
static unsigned escaped_character(const char **from, const char *end) {
    unsigned code = hex4(*from + 2);
    *from += 6;
    bool is_first_half = code >= 0xd800 && code < 0xdc00;
    if (is_first_half && end - *from >= 6 && (*from)[0] == '\\' && (*from)[1] == 'u') {
        unsigned second = hex4(*from + 2);
        if (second >= 0xdc00 && second < 0xe000) {
            *from += 6;
            return 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
        }
    }
    return code;
}

kennel_text kennel_unescape(kennel_json string) {
    static const char escapes[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
    const char *from = string.data + 1, *end = string.data + string.length - 1;
    if (memchr(from, '\\', (size_t)(end - from)) == NULL) {
        return kennel_call_copy(from, (size_t)(end - from));
    }
    char *text = (char *)kennel_call_memory(string.length);
    char *to = text;
    while (from < end) {
        if (*from != '\\') {
            *to++ = *from++;
        } else if (from[1] != 'u') {
            *to++ = characters[strchr(escapes, from[1]) - escapes];
            from += 2;
        } else {
            unsigned code = escaped_character(&from, end);
            if (code >= 0xd800 && code < 0xe000) {
                return (kennel_text){NULL, 0};
            }
            to = put_character(to, code);
        }
    }
    *to = '\0';
    return (kennel_text){text, (size_t)(to - text)};
}

kennel_text kennel_name_of(kennel_json string) {
    kennel_text inside = {string.data + 1, string.length - 2};
    return memchr(inside.data, '\\', inside.length) == NULL ? inside : kennel_json_text(string);
}

kennel_json_walk kennel_json_begin(kennel_json value) {
    kennel_json_kind kind = kennel_json_kind_of(value);
    if (kind != KENNEL_JSON_OBJECT && kind != KENNEL_JSON_ARRAY) {
        reject_kind(value, "an object or an array");
    }
    kennel_json_walk walk = {value.data + 1, value.data + value.length - 1, kind == KENNEL_JSON_OBJECT, {0}, {0}};
    return walk;
}

/* Goes to the next field or element, and gives its name as it is written. */
static bool next(kennel_json_walk *walk, kennel_json *name) {
    kennel_scan_state state = {walk->at, walk->end, NULL};
    kennel_scan_space(&state);
    if (state.at < state.end && *state.at == ',') {
        state.at++;
        kennel_scan_space(&state);
    }
    if (state.at == state.end) {
        return false;
    }
    if (walk->is_object) {
        name->data = state.at;
        kennel_scan_name(&state, &name->length);
    }
    walk->value.data = state.at;
    kennel_scan_value(&state);
    walk->value.length = (size_t)(state.at - walk->value.data);
    walk->at = state.at;
    return true;
}

bool kennel_json_next(kennel_json_walk *walk) {
    kennel_json name;
    if (!next(walk, &name)) {
        return false;
    }
    if (walk->is_object) {
        walk->name = kennel_json_text(name);
    }
    return true;
}

kennel_json kennel_json_find(kennel_json object, const char *name) {
    if (kennel_json_kind_of(object) == KENNEL_JSON_OBJECT) {
        kennel_json found;
        for (kennel_json_walk walk = kennel_json_begin(object); next(&walk, &found);) {
            if (kennel_text_is(kennel_name_of(found), name)) {
                return walk.value;
            }
        }
    }
    return (kennel_json){NULL, 0};
}
