/* The grammar of JSON (RFC 8259). */
#include "json_scan.h"

#include <string.h>

#include "call.h"

static bool fail(kennel_scan_state *state, const char *error) {
    state->error = error;
    return false;
}

void kennel_scan_space(kennel_scan_state *state) {
    while (state->at < state->end &&
           (*state->at == ' ' || *state->at == '\t' || *state->at == '\n' || *state->at == '\r')) {
        state->at++;
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(kennel_scan_state *state) {
    if (state->at + 1 >= state->end) {
        return fail(state, "the string does not end");
    }
    char escaped = state->at[1];
    if (escaped != 'u') {
        if (strchr("\"\\/bfnrt", escaped) == NULL || escaped == '\0') {
            return fail(state, "there is no such escape");
        }
        state->at += 2;
        return true;
    }
    for (int i = 2; i < 6; i++) {
        if (state->at + i >= state->end || !is_hex(state->at[i])) {
            return fail(state, "\\u needs four hexadecimal digits");
        }
    }
    state->at += 6;
    return true;
}

bool kennel_scan_string(kennel_scan_state *state) {
    if (state->at >= state->end || *state->at != '"') {
        return fail(state, "a string in quotes is expected");
    }
    const char *at = state->at + 1;
    for (;;) {
        while (at < state->end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
            at++;
        }
        state->at = at;
        if (at == state->end) {
            return fail(state, "the string does not end");
        }
        if (*at == '"') {
            state->at++;
            return true;
        }
        if (*at != '\\') {
            return fail(state, "a control character in a string has to be escaped");
        }
        if (!scan_escape(state)) {
            return false;
        }
        at = state->at;
    }
}

static bool scan_digits(kennel_scan_state *state) {
    const char *first = state->at;
    while (state->at < state->end && is_digit(*state->at)) {
        state->at++;
    }
    return state->at > first || fail(state, "a digit is expected");
}

static bool scan_number(kennel_scan_state *state) {
    if (*state->at == '-') {
        state->at++;
    }
    bool has_leading_zero = state->at < state->end && *state->at == '0';
    const char *first = state->at;
    if (!scan_digits(state)) {
        return false;
    }
    if (has_leading_zero && state->at > first + 1) {
        return fail(state, "a number begins with a zero");
    }
    if (state->at < state->end && *state->at == '.') {
        state->at++;
        if (!scan_digits(state)) {
            return false;
        }
    }
    if (state->at < state->end && (*state->at == 'e' || *state->at == 'E')) {
        state->at++;
        if (state->at < state->end && (*state->at == '+' || *state->at == '-')) {
            state->at++;
        }
        return scan_digits(state);
    }
    return true;
}

static bool scan_word(kennel_scan_state *state, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(state->end - state->at) < length || memcmp(state->at, word, length) != 0) {
        return fail(state, "a value is expected");
    }
    state->at += length;
    return true;
}

static bool scan_scalar(kennel_scan_state *state) {
    if (state->at >= state->end) {
        return fail(state, "a value is expected");
    }
    char first = *state->at;
    if (first == '"') {
        return kennel_scan_string(state);
    }
    if (first == '-' || is_digit(first)) {
        return scan_number(state);
    }
    return scan_word(state, first == 't' ? "true" : first == 'f' ? "false" : "null");
}

bool kennel_scan_name(kennel_scan_state *state, size_t *length) {
    const char *first = state->at;
    if (!kennel_scan_string(state)) {
        return false;
    }
    *length = (size_t)(state->at - first);
    kennel_scan_space(state);
    if (state->at >= state->end || *state->at != ':') {
        return fail(state, "a colon is expected");
    }
    state->at++;
    kennel_scan_space(state);
    return true;
}

bool kennel_scan_begin(kennel_scan_state *state) {
    char closer = *state->at == '{' ? '}' : ']';
    state->at++;
    kennel_scan_space(state);
    if (state->at < state->end && *state->at == closer) {
        state->at++;
        return false;
    }
    return true;
}

bool kennel_scan_more(kennel_scan_state *state, char closer) {
    kennel_scan_space(state);
    if (state->at >= state->end) {
        return fail(state, closer == '}' ? "the object does not end" : "the array does not end");
    }
    char found = *state->at;
    if (found != ',' && found != closer) {
        return fail(state, "a comma or the end is expected");
    }
    state->at++;
    if (found == ',') {
        kennel_scan_space(state);
    }
    return found == ',';
}

/* An object or an array, without recursion: values nest to any depth that is allowed. */
static bool scan_nested(kennel_scan_state *state) {
    char closers[KENNEL_LEVELS_MAX];
    size_t depth = 0, length;
    for (bool more = true; more;) {
        bool opens = state->at < state->end && (*state->at == '{' || *state->at == '[');
        if (opens && depth == KENNEL_LEVELS_MAX) {
            return fail(state, "it is more than 1000 levels deep");
        }
        if (opens) {
            closers[depth++] = *state->at == '{' ? '}' : ']';
            more = kennel_scan_begin(state);
            depth -= !more;
        } else {
            if (!scan_scalar(state)) {
                return false;
            }
            more = false;
        }
        while (!more && depth > 0) {
            more = kennel_scan_more(state, closers[depth - 1]);
            if (state->error != NULL) {
                return false;
            }
            depth -= !more;
        }
        if (more && closers[depth - 1] == '}' && !kennel_scan_name(state, &length)) {
            return false;
        }
    }
    return true;
}

bool kennel_scan_value(kennel_scan_state *state) {
    bool is_nested = state->at < state->end && (*state->at == '{' || *state->at == '[');
    return is_nested ? scan_nested(state) : scan_scalar(state);
}

bool kennel_scan_end(kennel_scan_state *state) {
    kennel_scan_space(state);
    return state->at == state->end || fail(state, "the text goes on after the value");
}

kennel_json kennel_scan_text(kennel_text text, const char **error, size_t *error_at) {
    kennel_scan_state state = {text.data, text.data + text.length, NULL};
    kennel_scan_space(&state);
    kennel_json value = {state.at, 0};
    if (kennel_scan_value(&state)) {
        value.length = (size_t)(state.at - value.data);
        if (kennel_scan_end(&state)) {
            return value;
        }
    }
    *error = state.error;
    *error_at = (size_t)(state.at - text.data);
    return (kennel_json){NULL, 0};
}

bool kennel_parse_unsigned(kennel_json number, uint64_t *value) {
    uint64_t sum = 0;
    for (size_t i = 0; i < number.length; i++) {
        if (!is_digit(number.data[i]) || __builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(number.data[i] - '0'), &sum)) {
            return false;
        }
    }
    *value = sum;
    return number.length > 0;
}

bool kennel_parse_integer(kennel_json number, int64_t *value) {
    bool is_negative = number.length > 0 && number.data[0] == '-';
    kennel_json digits = {number.data + is_negative, number.length - is_negative};
    uint64_t size;
    if (!kennel_parse_unsigned(digits, &size) || size > (uint64_t)INT64_MAX + is_negative) {
        return false;
    }
    *value = is_negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}
