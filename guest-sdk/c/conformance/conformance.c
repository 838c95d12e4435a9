/*
 * The conformance guest of the C SDK: does what the events of `guest-sdk/conformance` say, whose README has the table
 * of their types.
 *
 * Documents that the events bring along are `kennel_json`, which keeps every digit and the order of keys.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conformance.h"

typedef struct put {
    kennel_text collection;
    kennel_text key;
    kennel_json document;
} put;

KENNEL_SHAPE(put, KENNEL_TEXT(put, collection), KENNEL_TEXT(put, key), KENNEL_JSON(put, document));

typedef struct put_text {
    kennel_text collection;
    kennel_text key;
    kennel_text text;
} put_text;

KENNEL_SHAPE(put_text, KENNEL_TEXT(put_text, collection), KENNEL_TEXT(put_text, key), KENNEL_TEXT(put_text, text));

typedef struct copy {
    kennel_text collection;
    kennel_text key;
    kennel_text to;
} copy;

KENNEL_SHAPE(copy, KENNEL_TEXT(copy, collection), KENNEL_TEXT(copy, key), KENNEL_TEXT(copy, to));

typedef struct collect {
    kennel_text collection;
    KENNEL_LIST(kennel_text) keys;
    kennel_text into;
} collect;

KENNEL_SHAPE(collect, KENNEL_TEXT(collect, collection), KENNEL_TEXTS(collect, keys), KENNEL_TEXT(collect, into));

typedef struct scan {
    kennel_text collection;
    kennel_text after;
    kennel_text prefix;
    uint64_t limit;
    kennel_text into;
} scan;

KENNEL_SHAPE(scan, KENNEL_TEXT(scan, collection), KENNEL_OPTIONAL_TEXT(scan, after), KENNEL_TEXT(scan, prefix),
             KENNEL_UNSIGNED(scan, limit), KENNEL_TEXT(scan, into));

typedef struct address {
    kennel_text collection;
    kennel_text key;
} address;

KENNEL_SHAPE(address, KENNEL_TEXT(address, collection), KENNEL_TEXT(address, key));

typedef struct increment {
    kennel_text collection;
    kennel_text key;
    kennel_text field;
    int64_t by;
} increment;

KENNEL_SHAPE(increment, KENNEL_TEXT(increment, collection), KENNEL_TEXT(increment, key), KENNEL_TEXT(increment, field),
             KENNEL_INTEGER(increment, by));

typedef struct count {
    kennel_text key;
    int64_t by;
} count;

KENNEL_SHAPE(count, KENNEL_TEXT(count, key), KENNEL_INTEGER(count, by));

/* A document of the collection `counts`. */
typedef struct counted {
    int64_t count;
    kennel_text last;
} counted;

KENNEL_SHAPE(counted, KENNEL_INTEGER(counted, count), KENNEL_TEXT(counted, last));

typedef struct setting {
    kennel_text key;
    kennel_text into;
} setting;

KENNEL_SHAPE(setting, KENNEL_TEXT(setting, key), KENNEL_TEXT(setting, into));

/* A document of the collection `settings`. */
typedef struct value {
    kennel_text value;
} value;

KENNEL_SHAPE(value, KENNEL_OPTIONAL_TEXT(value, value));

typedef struct line {
    kennel_text level;
    kennel_text message;
} line;

KENNEL_SHAPE(line, KENNEL_TEXT(line, level), KENNEL_TEXT(line, message));

typedef struct message {
    kennel_text message;
} message;

KENNEL_SHAPE(message, KENNEL_TEXT(message, message));

typedef struct typed {
    int64_t count;
    kennel_text name;
    KENNEL_LIST(kennel_text) tags;
} typed;

KENNEL_SHAPE(typed, KENNEL_INTEGER(typed, count), KENNEL_TEXT(typed, name), KENNEL_TEXTS(typed, tags));

typedef struct step {
    kennel_text type;
} step;

KENNEL_SHAPE(step, KENNEL_TEXT(step, type));

typedef struct steps {
    KENNEL_LIST(kennel_json) steps;
} steps;

KENNEL_SHAPE(steps, KENNEL_LIST_FIELD("steps", steps, steps, kennel_json, KENNEL_TYPE_JSON, false, NULL));

static const kennel_descriptor descriptor = {.name = "conformance", .version = "1.0.0"};

const kennel_descriptor *kennel_describe(void) {
    return &descriptor;
}

/* Writes the document of this event's attempt, which has to be undone. */
void attempt(const kennel_event *event) {
    kennel_put_json("attempts", event->event_id, kennel_json_parse(kennel_text_of("true")));
}

static void act_put(const kennel_event *event, kennel_text payload) {
    (void)event;
    put asked;
    kennel_decode(payload, &put_shape, &asked);
    kennel_put_json(asked.collection.data, asked.key, asked.document);
}

static void act_put_text(const kennel_event *event, kennel_text payload) {
    (void)event;
    put_text asked;
    kennel_decode(payload, &put_text_shape, &asked);
    kennel_put_text(asked.collection.data, asked.key, asked.text);
}

static void act_copy(const kennel_event *event, kennel_text payload) {
    (void)event;
    copy asked;
    kennel_decode(payload, &copy_shape, &asked);
    kennel_json document = kennel_get_json(asked.collection.data, asked.key);
    if (document.data == NULL) {
        kennel_reject("there is no document");
    }
    kennel_put_json(asked.collection.data, asked.to, document);
}

static void act_collect(const kennel_event *event, kennel_text payload) {
    (void)event;
    collect asked;
    kennel_decode(payload, &collect_shape, &asked);
    const kennel_text *documents =
        kennel_get_many_text(asked.collection.data, asked.keys.items, asked.keys.count);
    kennel_writer writer = {0};
    kennel_write_array(&writer);
    for (size_t i = 0; i < asked.keys.count; i++) {
        bool is_there = documents[i].data != NULL;
        kennel_write_json(&writer, is_there ? kennel_json_parse(documents[i]) : (kennel_json){0});
    }
    kennel_write_array_end(&writer);
    kennel_put_text("collected", asked.into, kennel_written(&writer));
}

static void act_scan(const kennel_event *event, kennel_text payload) {
    (void)event;
    scan asked;
    kennel_decode(payload, &scan_shape, &asked);
    if (asked.limit > UINT32_MAX) {
        kennel_reject("limit: %llu is too much", (unsigned long long)asked.limit);
    }
    kennel_rows rows = kennel_scan(asked.collection.data, asked.after, asked.prefix, (uint32_t)asked.limit);
    kennel_writer writer = {0};
    kennel_write_object(&writer);
    kennel_write_name(&writer, kennel_text_of("keys"));
    kennel_write_array(&writer);
    for (size_t i = 0; i < rows.count; i++) {
        kennel_write_text(&writer, rows.items[i].key);
    }
    kennel_write_array_end(&writer);
    kennel_write_name(&writer, kennel_text_of("documents"));
    kennel_write_array(&writer);
    for (size_t i = 0; i < rows.count; i++) {
        kennel_write_json(&writer, kennel_json_parse(rows.items[i].document));
    }
    kennel_write_array_end(&writer);
    kennel_write_object_end(&writer);
    kennel_put_text("scans", asked.into, kennel_written(&writer));
}

static void act_delete(const kennel_event *event, kennel_text payload) {
    (void)event;
    address asked;
    kennel_decode(payload, &address_shape, &asked);
    kennel_delete(asked.collection.data, asked.key);
}

static void act_increment(const kennel_event *event, kennel_text payload) {
    (void)event;
    increment asked;
    kennel_decode(payload, &increment_shape, &asked);
    kennel_increment(asked.collection.data, asked.key, asked.field.data, asked.by);
}

static void act_count(const kennel_event *event, kennel_text payload) {
    count asked;
    counted found;
    kennel_decode(payload, &count_shape, &asked);
    kennel_get("counts", asked.key, &counted_shape, &found);
    if (__builtin_add_overflow(found.count, asked.by, &found.count)) {
        kennel_reject("count: the sum does not fit 64 bits");
    }
    found.last = event->event_id;
    kennel_put("counts", asked.key, &counted_shape, &found);
}

static void act_typed(const kennel_event *event, kennel_text payload) {
    typed found;
    kennel_decode(payload, &typed_shape, &found);
    kennel_put("typed", event->aggregate_id, &typed_shape, &found);
}

static void act_log(const kennel_event *event, kennel_text payload) {
    (void)event;
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    line asked;
    kennel_decode(payload, &line_shape, &asked);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (kennel_text_is(asked.level, levels[i])) {
            kennel_log((kennel_level)i, "%.*s", (int)asked.message.length, asked.message.data);
            return;
        }
    }
    kennel_reject("level: there is no %s", asked.level.data);
}

static kennel_text message_after_attempt(const kennel_event *event, kennel_text payload) {
    message asked;
    attempt(event);
    kennel_decode(payload, &message_shape, &asked);
    return asked.message;
}

static void act_reject(const kennel_event *event, kennel_text payload) {
    kennel_reject("%s", message_after_attempt(event, payload).data);
}

static void act_retry(const kennel_event *event, kennel_text payload) {
    kennel_retry("%s", message_after_attempt(event, payload).data);
}

/* As C programs fail: a message on standard error, and the end. */
static void act_throw(const kennel_event *event, kennel_text payload) {
    fprintf(stderr, "%s\n", message_after_attempt(event, payload).data);
    abort();
}

typedef void act_of_step(const kennel_event *event, kennel_text payload);

/* What an event, or one step of it, asks for; NULL if its type is none of these. */
static act_of_step *step_named(kennel_text type) {
    static const struct {
        const char *type;
        act_of_step *act;
    } acts[] = {
        {"Put", act_put},       {"PutText", act_put_text},     {"Copy", act_copy},   {"Collect", act_collect},
        {"Scan", act_scan},     {"Delete", act_delete},        {"Count", act_count}, {"Increment", act_increment},
        {"Typed", act_typed},   {"Log", act_log},              {"Retry", act_retry}, {"Reject", act_reject},
        {"Throw", act_throw},
    };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (kennel_text_is(type, acts[i].type)) {
            return acts[i].act;
        }
    }
    return NULL;
}

static void act_steps(const kennel_event *event) {
    steps asked;
    kennel_payload(event, &steps_shape, &asked);
    for (size_t i = 0; i < asked.steps.count; i++) {
        kennel_text text = {asked.steps.items[i].data, asked.steps.items[i].length};
        step one;
        kennel_decode(text, &step_shape, &one);
        act_of_step *act = step_named(one.type);
        if (act == NULL) {
            kennel_reject("%s is no step", one.type.data);
        }
        act(event, text);
    }
}

static void act_setting(const kennel_event *event) {
    setting asked;
    kennel_payload(event, &setting_shape, &asked);
    value found = {kennel_config(asked.key.data)};
    kennel_put("settings", asked.into, &value_shape, &found);
}

static void act_print(const kennel_event *event) {
    message asked;
    kennel_payload(event, &message_shape, &asked);
    printf("%s\n", asked.message.data);
}

void kennel_handle(const kennel_event *event) {
    static const struct {
        const char *type;
        void (*act)(const kennel_event *event);
    } acts[] = {
        {"Arrived", record_arrival}, {"Steps", act_steps}, {"Setting", act_setting},        {"Print", act_print},
        {"Chance", record_chance},   {"Loop", loop},       {"Allocate", allocate_forever}, {"Recurse", recurse},
    };
    act_of_step *act = step_named(event->event_type);
    if (act != NULL) {
        kennel_payload_json(event);
        act(event, event->payload);
        return;
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (kennel_text_is(event->event_type, acts[i].type)) {
            acts[i].act(event);
            return;
        }
    }
    kennel_increment("others", event->event_type, "count", 1);
}
