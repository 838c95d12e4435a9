/*
 * kennel-projection: write a projection in C. C++ and Zig use this header as it is.
 *
 * A projection defines two functions: `kennel_describe` says what it is, `kennel_handle` handles one event. All other
 * functions are for `kennel_handle`. What they hand out is valid until it returns.
 *
 * A call that breaks a bound of the read model does not return: it ends the event, which fails with `invalid-call`.
 */
#ifndef KENNEL_H
#define KENNEL_H

#include <time.h>

#include "kennel/json.h"

#ifdef __cplusplus
extern "C" {
#define KENNEL_NORETURN [[noreturn]]
#else
#define KENNEL_NORETURN _Noreturn
#endif

#if defined(__GNUC__)
#define KENNEL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define KENNEL_PRINTF(text, first)
#endif

/* A moment, in UTC. */
typedef struct kennel_timestamp {
    int64_t seconds;      /* since the beginning of 1970, negative before it */
    uint32_t nanoseconds; /* from there on, less than a second */
} kennel_timestamp;

typedef enum kennel_payload_kind { KENNEL_PAYLOAD_JSON, KENNEL_PAYLOAD_BINARY } kennel_payload_kind;

/* One immutable row of the event log. */
typedef struct kennel_event {
    uint64_t position;           /* in the log: unique and increasing, with gaps. The first is 1 */
    kennel_text bounded_context; /* the part of the business that the aggregate belongs to */
    kennel_text aggregate_type;  /* the kind of aggregate */
    kennel_text aggregate_id;    /* events of one aggregate arrive in order, one at a time */
    uint64_t aggregate_version;  /* after this event. The first is 1 */
    kennel_text event_id;        /* a UUID in lower-case text with hyphens */
    kennel_text event_type;      /* what happened */
    uint32_t event_version;      /* of the payload's schema */
    kennel_payload_kind payload_kind;
    kennel_text payload;         /* JSON text, or bytes that are none */
    kennel_text metadata;        /* JSON text that the writer attached, or none */
    kennel_text trace_id;        /* the distributed trace, or none */
    kennel_text correlation_id;  /* the business process, or none */
    kennel_text causation_id;    /* the message that caused the event, or none */
    kennel_timestamp created_at; /* as the writer says. Times need not rise with positions */
} kennel_event;

typedef enum kennel_partitioning { KENNEL_BY_AGGREGATE, KENNEL_SINGLE } kennel_partitioning;

typedef enum kennel_column_type {
    KENNEL_COLUMN_TEXT,
    KENNEL_COLUMN_INTEGER,
    KENNEL_COLUMN_DECIMAL,
    KENNEL_COLUMN_BOOLEAN,
    KENNEL_COLUMN_TIMESTAMP,
    KENNEL_COLUMN_JSON
} kennel_column_type;

/* A value that the documents of a collection have: its name, its path in the document, its type. */
typedef struct kennel_column {
    const char *name;
    const char *path;
    kennel_column_type data_type;
} kennel_column;

/* Names of columns, the most significant first; the list ends with NULL. */
typedef struct kennel_index {
    const char *const *columns;
    bool unique;
} kennel_index;

/* Columns and indexes of one collection. Each list ends with an empty element: `{0}`. */
typedef struct kennel_collection {
    const char *name;
    const kennel_column *columns;
    const kennel_index *indexes;
} kennel_collection;

/*
 * What a projection says of itself. Lists of names end with NULL, `collections` with an empty element; NULL is an
 * empty list. An empty list of the scope means all; lists are combined with "and".
 */
typedef struct kennel_descriptor {
    const char *name;
    const char *version;
    const char *const *bounded_contexts;
    const char *const *aggregate_types;
    const char *const *event_types;
    kennel_partitioning partitioning;
    const kennel_collection *collections;
} kennel_descriptor;

/* A list of names in C, outside of functions: `.event_types = KENNEL_NAMES("OrderPlaced", "OrderPaid")`. */
#define KENNEL_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The projection's own: what it is. It must always give the same answer. */
const kennel_descriptor *kennel_describe(void);

/* The projection's own: handles one event. State that has to last belongs in the read model. */
void kennel_handle(const kennel_event *event);

/* This event can never be handled by this code. Its changes are undone. Does not return. */
KENNEL_NORETURN void kennel_reject(const char *format, ...) KENNEL_PRINTF(1, 2);

/* What went wrong may pass: the host undoes the event's changes and tries again. Does not return. */
KENNEL_NORETURN void kennel_retry(const char *format, ...) KENNEL_PRINTF(1, 2);

/* --- Text and memory --- */

/* The text of a C string; it is not copied. */
kennel_text kennel_text_of(const char *text);
bool kennel_text_is(kennel_text text, const char *expected);
bool kennel_text_equals(kennel_text left, kennel_text right);

/* New text, as `printf` writes it. */
kennel_text kennel_format(const char *format, ...) KENNEL_PRINTF(1, 2);

/* Zeroed memory that is freed once the event is handled. It never returns NULL. */
void *kennel_alloc(size_t bytes);

/* --- Time --- */

/* The standard library's time, exact to the nanosecond. The event is rejected if `time_t` cannot hold the seconds. */
struct timespec kennel_timespec(kennel_timestamp time);

/* Milliseconds since the beginning of 1970, rounded down; at the ends of the range the nearest that there is. */
int64_t kennel_unix_milliseconds(kennel_timestamp time);

/* RFC 3339 in UTC, the same text in the SDKs of all languages: `2026-03-01T09:30:00Z`, with a fraction of 3, 6 or 9
 * digits unless it is zero. Years beyond 9999 and below 0 have a sign. */
kennel_text kennel_rfc3339(kennel_timestamp time);

/* --- Typed documents: how the members of a struct are called in JSON, in the order in which they are written --- */

typedef enum kennel_type {
    KENNEL_TYPE_TEXT,     /* kennel_text */
    KENNEL_TYPE_INTEGER,  /* int64_t: a whole number, exact */
    KENNEL_TYPE_UNSIGNED, /* uint64_t: a whole number, exact */
    KENNEL_TYPE_NUMBER,   /* double: the nearest */
    KENNEL_TYPE_BOOLEAN,  /* bool */
    KENNEL_TYPE_JSON,     /* kennel_json: any value, as it is written */
    KENNEL_TYPE_OBJECT    /* a struct with a shape of its own */
} kennel_type;

struct kennel_shape;

typedef struct kennel_field {
    const char *name;
    kennel_type type;
    bool is_optional; /* may be missing or null: it is zero then. Text, JSON and lists of none are written as null */
    size_t offset;
    const struct kennel_shape *shape; /* of KENNEL_TYPE_OBJECT */
    bool is_list;                     /* of such values: the member is a KENNEL_LIST */
} kennel_field;

typedef struct kennel_shape {
    const char *name;
    size_t size;
    const kennel_field *fields;
    size_t field_count;
} kennel_shape;

/* The offset of a member; the compiler complains if the member has another type. */
#define KENNEL_OFFSET(owner, member, type)                                                                             \
    (offsetof(owner, member) + 0 * sizeof((const type *)0 == &((const owner *)0)->member))

/* A field that has another name in JSON than its member. */
#define KENNEL_FIELD(json, owner, member, type, kind, optional)                                                        \
    {json, kind, optional, KENNEL_OFFSET(owner, member, type), NULL, false}

#define KENNEL_TEXT(owner, member) KENNEL_FIELD(#member, owner, member, kennel_text, KENNEL_TYPE_TEXT, false)
#define KENNEL_INTEGER(owner, member) KENNEL_FIELD(#member, owner, member, int64_t, KENNEL_TYPE_INTEGER, false)
#define KENNEL_UNSIGNED(owner, member) KENNEL_FIELD(#member, owner, member, uint64_t, KENNEL_TYPE_UNSIGNED, false)
#define KENNEL_NUMBER(owner, member) KENNEL_FIELD(#member, owner, member, double, KENNEL_TYPE_NUMBER, false)
#define KENNEL_BOOLEAN(owner, member) KENNEL_FIELD(#member, owner, member, bool, KENNEL_TYPE_BOOLEAN, false)
#define KENNEL_JSON(owner, member) KENNEL_FIELD(#member, owner, member, kennel_json, KENNEL_TYPE_JSON, false)
#define KENNEL_OBJECT(owner, member, type)                                                                             \
    {#member, KENNEL_TYPE_OBJECT, false, KENNEL_OFFSET(owner, member, type), &type##_shape, false}

#define KENNEL_OPTIONAL_TEXT(owner, member) KENNEL_FIELD(#member, owner, member, kennel_text, KENNEL_TYPE_TEXT, true)
#define KENNEL_OPTIONAL_INTEGER(owner, member) KENNEL_FIELD(#member, owner, member, int64_t, KENNEL_TYPE_INTEGER, true)
#define KENNEL_OPTIONAL_UNSIGNED(owner, member)                                                                        \
    KENNEL_FIELD(#member, owner, member, uint64_t, KENNEL_TYPE_UNSIGNED, true)
#define KENNEL_OPTIONAL_NUMBER(owner, member) KENNEL_FIELD(#member, owner, member, double, KENNEL_TYPE_NUMBER, true)
#define KENNEL_OPTIONAL_BOOLEAN(owner, member) KENNEL_FIELD(#member, owner, member, bool, KENNEL_TYPE_BOOLEAN, true)
#define KENNEL_OPTIONAL_JSON(owner, member) KENNEL_FIELD(#member, owner, member, kennel_json, KENNEL_TYPE_JSON, true)
#define KENNEL_OPTIONAL_OBJECT(owner, member, type)                                                                    \
    {#member, KENNEL_TYPE_OBJECT, true, KENNEL_OFFSET(owner, member, type), &type##_shape, false}

/* A member that is a list: `KENNEL_LIST(kennel_text) tags;`, with `tags.items` and `tags.count`. Lists of lists are
 * KENNEL_JSON. */
#define KENNEL_LIST(type)                                                                                              \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        size_t count;                                                                                                  \
    }
#define KENNEL_LIST_FIELD(json, owner, member, type, kind, optional, shape)                                            \
    {json, kind, optional,                                                                                             \
     offsetof(owner, member) + 0 * sizeof((type *const *)0 == &((const owner *)0)->member.items), shape, true}

#define KENNEL_TEXTS(owner, member)                                                                                    \
    KENNEL_LIST_FIELD(#member, owner, member, kennel_text, KENNEL_TYPE_TEXT, false, NULL)
#define KENNEL_INTEGERS(owner, member)                                                                                 \
    KENNEL_LIST_FIELD(#member, owner, member, int64_t, KENNEL_TYPE_INTEGER, false, NULL)
#define KENNEL_OBJECTS(owner, member, type)                                                                            \
    KENNEL_LIST_FIELD(#member, owner, member, type, KENNEL_TYPE_OBJECT, false, &type##_shape)
#define KENNEL_OPTIONAL_TEXTS(owner, member)                                                                           \
    KENNEL_LIST_FIELD(#member, owner, member, kennel_text, KENNEL_TYPE_TEXT, true, NULL)
#define KENNEL_OPTIONAL_INTEGERS(owner, member)                                                                        \
    KENNEL_LIST_FIELD(#member, owner, member, int64_t, KENNEL_TYPE_INTEGER, true, NULL)
#define KENNEL_OPTIONAL_OBJECTS(owner, member, type)                                                                   \
    KENNEL_LIST_FIELD(#member, owner, member, type, KENNEL_TYPE_OBJECT, true, &type##_shape)

/* `KENNEL_SHAPE(order, KENNEL_TEXT(order, customer))` defines `order_shape`. */
#define KENNEL_SHAPE(type, ...)                                                                                        \
    static const kennel_field type##_fields[] = {__VA_ARGS__};                                                         \
    static const kennel_shape type##_shape = {#type, sizeof(type), type##_fields,                                      \
                                              sizeof(type##_fields) / sizeof(type##_fields[0])}

/* The event's payload. The event is rejected if it does not fit. Fields that the shape does not have are left out. */
void kennel_payload(const kennel_event *event, const kennel_shape *shape, void *out);

/* The event's payload as JSON without a shape. The event is rejected if it is binary. */
kennel_json kennel_payload_json(const kennel_event *event);

/* The text of a struct, and a struct from text. The event is rejected if the text does not fit. */
kennel_text kennel_encode(const kennel_shape *shape, const void *value);
void kennel_decode(kennel_text text, const kennel_shape *shape, void *out);

/* --- The read model: collections of JSON documents, by key --- */

/* One document of a scan. */
typedef struct kennel_row {
    kennel_text key;
    kennel_text document;
} kennel_row;

typedef struct kennel_rows {
    const kennel_row *items;
    size_t count;
} kennel_rows;

/* No text: for `after` of a scan that starts at the beginning. */
#define KENNEL_NONE (kennel_text_of(NULL))

/* Reads a document, and says whether there is one; `out` is all zero if there is none. */
bool kennel_get(const char *collection, kennel_text key, const kennel_shape *shape, void *out);

/* Reads a document that must be there. */
void kennel_require(const char *collection, kennel_text key, const kennel_shape *shape, void *out);

/* Reads at most 1,000 documents in one round trip into an array of structs; `found` says which there are. */
void kennel_get_many(const char *collection, const kennel_text *keys, size_t count, const kennel_shape *shape,
                     void *out, bool *found);

/* Writes a whole document, at most 1 MiB. */
void kennel_put(const char *collection, kennel_text key, const kennel_shape *shape, const void *value);

/* Removes a document. It is no error if there is none. */
void kennel_delete(const char *collection, kennel_text key);

/* Documents whose key starts with `prefix` and sorts after `after` (by bytes), in key order; at most `limit`, and at
 * most 1,000. `kennel_decode` makes structs of them. */
kennel_rows kennel_scan(const char *collection, kennel_text after, kennel_text prefix, uint32_t limit);

/* Adds to a whole-number field at the top of a document. It reads nothing and never conflicts with other workers. */
void kennel_increment(const char *collection, kennel_text key, const char *field, int64_t by);

/* The same with JSON of any form, none if there is no document. */
kennel_json kennel_get_json(const char *collection, kennel_text key);
void kennel_put_json(const char *collection, kennel_text key, kennel_json document);

/* The same with JSON text. */
kennel_text kennel_get_text(const char *collection, kennel_text key);
const kennel_text *kennel_get_many_text(const char *collection, const kennel_text *keys, size_t count);
void kennel_put_text(const char *collection, kennel_text key, kennel_text document);

/* --- Log and settings --- */

typedef enum kennel_level { KENNEL_DEBUG, KENNEL_INFO, KENNEL_WARN, KENNEL_ERROR } kennel_level;

/* A line in the projection's log: at most 4,096 bytes, and 20 lines an event. */
void kennel_log(kennel_level level, const char *format, ...) KENNEL_PRINTF(2, 3);

/* A setting that the operator gave, or none. */
kennel_text kennel_config(const char *key);

/* A setting that is a whole number, or `fallback`. The event is rejected if it is something else. */
int64_t kennel_config_integer(const char *key, int64_t fallback);

#ifdef __cplusplus
}
#endif

#endif
