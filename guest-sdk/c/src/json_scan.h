/* The grammar of JSON: finds where a value ends. It decodes nothing. */
#ifndef KENNEL_JSON_SCAN_H
#define KENNEL_JSON_SCAN_H

#include "bounds.h"
#include "kennel/json.h"

typedef struct kennel_scan_state {
    const char *at;
    const char *end;
    const char *error; /* why the text at `at` is no JSON */
} kennel_scan_state;

/* Each moves past what its name says. It gives false, and sets the error, if the text is no JSON there. */
void kennel_scan_space(kennel_scan_state *state);
bool kennel_scan_string(kennel_scan_state *state);
bool kennel_scan_value(kennel_scan_state *state);

/* The name of a field, the colon and what space is between and behind them. `length` is of the name with its quotes. */
bool kennel_scan_name(kennel_scan_state *state, size_t *length);

/* The bracket that begins an object or an array. Gives whether it has anything inside. */
bool kennel_scan_begin(kennel_scan_state *state);

/* What follows a value in an object or an array. Gives true if that is another one, false at the bracket that ends it
 * and if the text is no JSON. */
bool kennel_scan_more(kennel_scan_state *state, char closer);

/* The space at the end of the text, which nothing else may follow. */
bool kennel_scan_end(kennel_scan_state *state);

/* The value of whole text; none, with `error` and `error_at`, if the text is no JSON. */
kennel_json kennel_scan_text(kennel_text text, const char **error, size_t *error_at);

/* Decodes a checked string. Gives none if it has half of a surrogate pair. */
kennel_text kennel_unescape(kennel_json string);

/* The text of a checked string, for a moment: a piece of it unless it has escapes, so without a NUL behind it. */
kennel_text kennel_name_of(kennel_json string);

/* Reads a checked number that is written as a whole one. */
bool kennel_parse_integer(kennel_json number, int64_t *value);
bool kennel_parse_unsigned(kennel_json number, uint64_t *value);

/* What people see of a value in a message: its kind, and a short one itself. */
kennel_text kennel_json_shown(kennel_json value);

#endif
