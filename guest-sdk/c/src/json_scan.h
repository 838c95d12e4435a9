/* The grammar of JSON: finds where a value ends. It decodes nothing. */
#ifndef KENNEL_JSON_SCAN_H
#define KENNEL_JSON_SCAN_H

#include "kennel/json.h"

/* Documents have no more levels. */
#define KENNEL_LEVELS_MAX 1000

typedef struct kennel_scan_state {
    const char *at;
    const char *end;
    const char *error; /* why the text at `at` is no JSON */
} kennel_scan_state;

void kennel_scan_space(kennel_scan_state *state);
bool kennel_scan_string(kennel_scan_state *state);
bool kennel_scan_value(kennel_scan_state *state);

/* The value of whole text; none, with `error` and `error_at`, if the text is no JSON. */
kennel_json kennel_scan_text(kennel_text text, const char **error, size_t *error_at);

/* Decodes a checked string. Gives none if it has half of a surrogate pair. */
kennel_text kennel_unescape(kennel_json string);

/* Reads a checked number that is written as a whole one. */
bool kennel_parse_integer(kennel_json number, int64_t *value);
bool kennel_parse_unsigned(kennel_json number, uint64_t *value);

/* What people see of a value in a message: its kind, and a short one itself. */
kennel_text kennel_json_shown(kennel_json value);

#endif
