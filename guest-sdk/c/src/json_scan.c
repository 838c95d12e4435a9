/* The grammar of JSON (RFC 8259), without recursion: values nest to any depth that is allowed. */
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
    state->at++;
    while (state->at < state->end) {
        unsigned char c = (unsigned char)*state->at;
        if (c == '"') {
            state->at++;
            return true;
        }
        if (c < 0x20) {
            return fail(state, "a control character in a string has to be escaped");
        }
        if (c == '\\') {
            if (!scan_escape(state)) {
                return false;
            }
        } else {
            state->at++;
        }
    }
    return fail(state, "the string does not end");
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
    char first = *state->at;
    if (first == '"') {
        return kennel_scan_string(state);
    }
    if (first == '-' || is_digit(first)) {
        return scan_number(state);
    }
    return scan_word(state, first == 't' ? "true" : first == 'f' ? "false" : "null");
}

/* The name of a field and the colon. */
static bool scan_name(kennel_scan_state *state) {
    kennel_scan_space(state);
    if (!kennel_scan_string(state)) {
        return false;
    }
    kennel_scan_space(state);
    if (state->at >= state->end || *state->at != ':') {
        return fail(state, "a colon is expected");
    }
    state->at++;
    return true;
}

/* After a value: closes what ends here. `*more` says whether another value follows. */
static bool scan_after_value(kennel_scan_state *state, const char *closers, size_t *depth, bool *more) {
    *more = false;
    while (*depth > 0) {
        kennel_scan_space(state);
        char closer = closers[*depth - 1];
        if (state->at >= state->end) {
            return fail(state, closer == '}' ? "the object does not end" : "the array does not end");
        }
        if (*state->at == ',') {
            state->at++;
            *more = true;
            return closer == ']' || scan_name(state);
        }
        if (*state->at != closer) {
            return fail(state, "a comma or the end is expected");
        }
        state->at++;
        --*depth;
    }
    return true;
}

bool kennel_scan_value(kennel_scan_state *state) {
    char closers[KENNEL_LEVELS_MAX];
    size_t depth = 0;
    for (bool more = true; more;) {
        kennel_scan_space(state);
        if (state->at >= state->end) {
            return fail(state, "a value is expected");
        }
        if (*state->at == '{' || *state->at == '[') {
            if (depth == KENNEL_LEVELS_MAX) {
                return fail(state, "it is more than 1000 levels deep");
            }
            char closer = *state->at == '{' ? '}' : ']';
            closers[depth++] = closer;
            state->at++;
            kennel_scan_space(state);
            bool is_empty = state->at < state->end && *state->at == closer;
            if (!is_empty) {
                if (closer == '}' && !scan_name(state)) {
                    return false;
                }
                continue;
            }
        } else if (!scan_scalar(state)) {
            return false;
        }
        if (!scan_after_value(state, closers, &depth, &more)) {
            return false;
        }
    }
    return true;
}

kennel_json kennel_scan_text(kennel_text text, const char **error, size_t *error_at) {
    kennel_scan_state state = {text.data, text.data + text.length, NULL};
    kennel_scan_space(&state);
    kennel_json value = {state.at, 0};
    if (kennel_scan_value(&state)) {
        value.length = (size_t)(state.at - value.data);
        kennel_scan_space(&state);
        if (state.at == state.end) {
            return value;
        }
        state.error = "the text goes on after the value";
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
