/*
 * JSON helpers: read a value, and write one. `kennel.h` maps whole documents to structs; these are for what has no
 * fixed form.
 *
 * Numbers are never rounded: a whole number is exact or rejected, and `kennel_json` keeps the text of every other one.
 */
#ifndef KENNEL_JSON_H
#define KENNEL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Text in UTF-8. `data` is NULL where there is none. Text that comes from the SDK has a NUL behind it, which `length`
 * does not count, and is valid until the event is handled.
 */
typedef struct kennel_text {
    const char *data;
    size_t length;
} kennel_text;

/* A JSON value as text, checked and without white space around it. `data` is NULL where there is none. */
typedef struct kennel_json {
    const char *data;
    size_t length;
} kennel_json;

typedef enum kennel_json_kind {
    KENNEL_JSON_NONE,
    KENNEL_JSON_NULL,
    KENNEL_JSON_BOOLEAN,
    KENNEL_JSON_NUMBER,
    KENNEL_JSON_TEXT,
    KENNEL_JSON_ARRAY,
    KENNEL_JSON_OBJECT
} kennel_json_kind;

/* Checks text and gives its value. The event is rejected if it is no JSON, or more than 1,000 levels deep. */
kennel_json kennel_json_parse(kennel_text text);

kennel_json_kind kennel_json_kind_of(kennel_json value);

/* These reject the event if the value is of another kind, or does not fit. */
kennel_text kennel_json_text(kennel_json value);
int64_t kennel_json_integer(kennel_json value);
uint64_t kennel_json_unsigned(kennel_json value);
bool kennel_json_boolean(kennel_json value);

/* The nearest double. Use the text of the value (`data`, `length`) for amounts that have to stay exact. */
double kennel_json_number(kennel_json value);

/* The value of a field, or none if the value is no object or has no such field. */
kennel_json kennel_json_find(kennel_json object, const char *name);

/* A walk through the fields of an object or the elements of an array. */
typedef struct kennel_json_walk {
    const char *at;
    const char *end;
    bool is_object;
    kennel_text name; /* of the field; none in an array */
    kennel_json value;
} kennel_json_walk;

/* Begins a walk. The event is rejected if the value is neither an object nor an array. */
kennel_json_walk kennel_json_begin(kennel_json value);

/* Goes to the next field or element, and says whether there is one. */
bool kennel_json_next(kennel_json_walk *walk);

/* Writes JSON piece by piece. Commas and colons come by themselves. Set it to zero before use: `{0}`. */
typedef struct kennel_writer {
    char *data;
    size_t length;
    size_t capacity;
    bool needs_comma;
} kennel_writer;

void kennel_write_object(kennel_writer *writer);
void kennel_write_object_end(kennel_writer *writer);
void kennel_write_array(kennel_writer *writer);
void kennel_write_array_end(kennel_writer *writer);
void kennel_write_name(kennel_writer *writer, kennel_text name);
void kennel_write_null(kennel_writer *writer);
void kennel_write_boolean(kennel_writer *writer, bool value);
void kennel_write_integer(kennel_writer *writer, int64_t value);
void kennel_write_unsigned(kennel_writer *writer, uint64_t value);

/* The shortest digits that give the same double. The event is rejected if it is infinite or no number. */
void kennel_write_number(kennel_writer *writer, double value);

/* The event is rejected if the text is no UTF-8. */
void kennel_write_text(kennel_writer *writer, kennel_text text);

/* Writes a value as it is, or null for none. */
void kennel_write_json(kennel_writer *writer, kennel_json value);

/* What has been written. */
kennel_text kennel_written(kennel_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
