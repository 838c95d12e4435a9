/* What a handler calls: the event's payload, the read model, the log, settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json_scan.h"
#include "shape.h"

static _Noreturn void reject_payload(const kennel_event *event, const char *why) {
    kennel_reject("the payload of %s (version %u) cannot be read: %s", event->event_type.data,
                  (unsigned)event->event_version, why);
}

static void require_json(const kennel_event *event) {
    if (event->payload_kind != KENNEL_PAYLOAD_JSON) {
        reject_payload(event, kennel_format("it is %zu bytes that are not JSON", event->payload.length).data);
    }
}

void kennel_payload(const kennel_event *event, const kennel_shape *shape, void *out) {
    require_json(event);
    kennel_text problem;
    if (!kennel_shape_read(event->payload, shape, out, &problem)) {
        reject_payload(event, problem.data);
    }
}

kennel_json kennel_payload_json(const kennel_event *event) {
    require_json(event);
    const char *error = NULL;
    size_t error_at = 0;
    kennel_json value = kennel_scan_text(event->payload, &error, &error_at);
    if (value.data == NULL) {
        reject_payload(event, kennel_format("%s at byte %zu", error, error_at).data);
    }
    return value;
}

static void read_document(const char *collection, kennel_text key, kennel_text text, const kennel_shape *shape,
                          void *out) {
    kennel_text problem;
    if (!kennel_shape_read(text, shape, out, &problem)) {
        kennel_reject("document %s/%s does not fit %s: %s", collection, kennel_call_copy(key.data, key.length).data,
                      shape->name, problem.data);
    }
}

bool kennel_get(const char *collection, kennel_text key, const kennel_shape *shape, void *out) {
    kennel_text text = kennel_get_text(collection, key);
    if (text.data == NULL) {
        memset(out, 0, shape->size);
        return false;
    }
    read_document(collection, key, text, shape, out);
    return true;
}

void kennel_require(const char *collection, kennel_text key, const kennel_shape *shape, void *out) {
    if (!kennel_get(collection, key, shape, out)) {
        kennel_reject("there is no document %s/%s", collection, kennel_call_copy(key.data, key.length).data);
    }
}

void kennel_get_many(const char *collection, const kennel_text *keys, size_t count, const kennel_shape *shape,
                     void *out, bool *found) {
    const kennel_text *texts = kennel_get_many_text(collection, keys, count);
    for (size_t i = 0; i < count; i++) {
        void *element = (char *)out + i * shape->size;
        found[i] = texts[i].data != NULL;
        if (found[i]) {
            read_document(collection, keys[i], texts[i], shape, element);
        } else {
            memset(element, 0, shape->size);
        }
    }
}

void kennel_put(const char *collection, kennel_text key, const kennel_shape *shape, const void *value) {
    kennel_put_text(collection, key, kennel_encode(shape, value));
}

void kennel_delete(const char *collection, kennel_text key) {
    kennel_host_delete(kennel_text_of(collection), key);
}

kennel_rows kennel_scan(const char *collection, kennel_text after, kennel_text prefix, uint32_t limit) {
    return kennel_host_scan(kennel_text_of(collection), after, prefix, limit);
}

void kennel_increment(const char *collection, kennel_text key, const char *field, int64_t by) {
    kennel_host_increment(kennel_text_of(collection), key, kennel_text_of(field), by);
}

kennel_json kennel_get_json(const char *collection, kennel_text key) {
    kennel_text text = kennel_get_text(collection, key);
    return text.data == NULL ? (kennel_json){NULL, 0} : kennel_json_parse(text);
}

void kennel_put_json(const char *collection, kennel_text key, kennel_json document) {
    if (document.data == NULL) {
        kennel_reject("document %s/%s cannot be written: it is none", collection,
                      kennel_call_copy(key.data, key.length).data);
    }
    kennel_put_text(collection, key, (kennel_text){document.data, document.length});
}

kennel_text kennel_get_text(const char *collection, kennel_text key) {
    return kennel_host_get(kennel_text_of(collection), key);
}

const kennel_text *kennel_get_many_text(const char *collection, const kennel_text *keys, size_t count) {
    return kennel_host_get_many(kennel_text_of(collection), keys, count);
}

void kennel_put_text(const char *collection, kennel_text key, kennel_text document) {
    kennel_host_put(kennel_text_of(collection), key, document);
}

void kennel_log(kennel_level level, const char *format, ...) {
    static char line[KENNEL_LINE_BYTES_MAX + 4];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t kept = length < 0 ? 0 : (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    kennel_host_log(level, (kennel_text){line, kennel_make_utf8(line, kept, KENNEL_LINE_BYTES_MAX)});
}

kennel_text kennel_config(const char *key) {
    return kennel_host_config(kennel_text_of(key));
}

int64_t kennel_config_integer(const char *key, int64_t fallback) {
    kennel_text value = kennel_config(key);
    if (value.data == NULL) {
        return fallback;
    }
    int64_t number;
    if (!kennel_parse_integer((kennel_json){value.data, value.length}, &number)) {
        kennel_reject("the setting %s = \"%s\" is not a whole number that fits 64 bits", key, value.data);
    }
    return number;
}
