/* Structs from JSON, and JSON from structs, by their shape. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json_scan.h"
#include "shape.h"

/* A path to the value at fault, from the inside out. */
typedef struct path {
    const struct path *outer;
    const char *name;
} path;

static kennel_text path_shown(const path *at) {
    if (at == NULL) {
        return kennel_text_of("the value");
    }
    if (at->outer == NULL) {
        return kennel_text_of(at->name);
    }
    return kennel_format("%s.%s", path_shown(at->outer).data, at->name);
}

static bool misfit(kennel_text *problem, const path *at, const char *expected, kennel_json found) {
    *problem =
        kennel_format("%s: %s is expected, found %s", path_shown(at).data, expected, kennel_json_shown(found).data);
    return false;
}

static bool read_object(kennel_json json, const kennel_shape *shape, void *out, const path *at, kennel_text *problem);

/* Reads a value into a member. Gives false if it does not fit. */
typedef bool reader(kennel_json json, void *member);

static bool read_text(kennel_json json, void *member) {
    if (kennel_json_kind_of(json) != KENNEL_JSON_TEXT) {
        return false;
    }
    kennel_text text = kennel_unescape(json);
    *(kennel_text *)member = text;
    return text.data != NULL;
}

static bool read_integer(kennel_json json, void *member) {
    return kennel_json_kind_of(json) == KENNEL_JSON_NUMBER && kennel_parse_integer(json, (int64_t *)member);
}

static bool read_unsigned(kennel_json json, void *member) {
    return kennel_json_kind_of(json) == KENNEL_JSON_NUMBER && kennel_parse_unsigned(json, (uint64_t *)member);
}

static bool read_number(kennel_json json, void *member) {
    if (kennel_json_kind_of(json) != KENNEL_JSON_NUMBER) {
        return false;
    }
    *(double *)member = kennel_json_number(json);
    return true;
}

static bool read_boolean(kennel_json json, void *member) {
    *(bool *)member = json.data[0] == 't';
    return kennel_json_kind_of(json) == KENNEL_JSON_BOOLEAN;
}

static bool read_json(kennel_json json, void *member) {
    *(kennel_json *)member = json;
    return true;
}

static bool read_field(const kennel_field *field, kennel_json json, void *member, const path *at,
                       kennel_text *problem) {
    static const struct {
        reader *read;
        const char *expected;
    } readers[] = {
        [KENNEL_TYPE_TEXT] = {read_text, "a string"},
        [KENNEL_TYPE_INTEGER] = {read_integer, "a whole number that fits 64 bits"},
        [KENNEL_TYPE_UNSIGNED] = {read_unsigned, "a whole number of at least 0 that fits 64 bits"},
        [KENNEL_TYPE_NUMBER] = {read_number, "a number"},
        [KENNEL_TYPE_BOOLEAN] = {read_boolean, "true or false"},
        [KENNEL_TYPE_JSON] = {read_json, "a value"},
    };
    kennel_json_kind kind = kennel_json_kind_of(json);
    if (field->is_optional && kind == KENNEL_JSON_NULL) {
        return true;
    }
    if (field->type == KENNEL_TYPE_OBJECT) {
        return read_object(json, field->shape, member, at, problem);
    }
    if (readers[field->type].read(json, member)) {
        return true;
    }
    bool is_half = field->type == KENNEL_TYPE_TEXT && kind == KENNEL_JSON_TEXT;
    return misfit(problem, at, is_half ? "text without halves of surrogate pairs" : readers[field->type].expected,
                  json);
}

/* The field of this name; the search begins where the last one ended, since fields mostly keep their order. */
static const kennel_field *field_named(const kennel_shape *shape, kennel_text name, size_t *next) {
    for (size_t i = 0; i < shape->field_count; i++) {
        size_t index = (*next + i) % shape->field_count;
        if (kennel_text_is(name, shape->fields[index].name)) {
            *next = index + 1;
            return &shape->fields[index];
        }
    }
    return NULL;
}

static bool find_missing(const kennel_shape *shape, const bool *is_set, const path *at, kennel_text *problem) {
    for (size_t i = 0; i < shape->field_count; i++) {
        if (!is_set[i] && !shape->fields[i].is_optional) {
            path missing = {at, shape->fields[i].name};
            *problem = kennel_format("%s is missing", path_shown(&missing).data);
            return false;
        }
    }
    return true;
}

static bool read_object(kennel_json json, const kennel_shape *shape, void *out, const path *at, kennel_text *problem) {
    if (kennel_json_kind_of(json) != KENNEL_JSON_OBJECT) {
        return misfit(problem, at, "an object", json);
    }
    bool *is_set = (bool *)kennel_alloc(shape->field_count * sizeof(bool) + 1);
    size_t next = 0;
    kennel_json_walk walk = kennel_json_begin(json);
    while (kennel_json_next(&walk)) {
        const kennel_field *field = field_named(shape, walk.name, &next);
        if (field == NULL) {
            continue;
        }
        path inner = {at, field->name};
        if (is_set[field - shape->fields]) {
            *problem = kennel_format("%s is there twice", path_shown(&inner).data);
            return false;
        }
        is_set[field - shape->fields] = true;
        if (!read_field(field, walk.value, (char *)out + field->offset, &inner, problem)) {
            return false;
        }
    }
    return find_missing(shape, is_set, at, problem);
}

bool kennel_shape_read(kennel_text text, const kennel_shape *shape, void *out, kennel_text *problem) {
    memset(out, 0, shape->size);
    const char *error = NULL;
    size_t error_at = 0;
    kennel_json json = kennel_scan_text(text, &error, &error_at);
    if (json.data == NULL) {
        *problem = kennel_format("%s at byte %zu", error, error_at);
        return false;
    }
    return read_object(json, shape, out, NULL, problem);
}

static void write_object(kennel_writer *writer, const kennel_shape *shape, const void *value);

static void write_member(kennel_writer *writer, const kennel_field *field, const void *member) {
    bool is_none = field->type == KENNEL_TYPE_TEXT && ((const kennel_text *)member)->data == NULL;
    if (field->type == KENNEL_TYPE_OBJECT) {
        write_object(writer, field->shape, member);
    } else if (field->is_optional && is_none) {
        kennel_write_null(writer);
    } else if (field->type == KENNEL_TYPE_TEXT) {
        kennel_write_text(writer, *(const kennel_text *)member);
    } else if (field->type == KENNEL_TYPE_INTEGER) {
        kennel_write_integer(writer, *(const int64_t *)member);
    } else if (field->type == KENNEL_TYPE_UNSIGNED) {
        kennel_write_unsigned(writer, *(const uint64_t *)member);
    } else if (field->type == KENNEL_TYPE_NUMBER) {
        kennel_write_number(writer, *(const double *)member);
    } else if (field->type == KENNEL_TYPE_BOOLEAN) {
        kennel_write_boolean(writer, *(const bool *)member);
    } else {
        kennel_write_json(writer, *(const kennel_json *)member);
    }
}

static void write_object(kennel_writer *writer, const kennel_shape *shape, const void *value) {
    kennel_write_object(writer);
    for (size_t i = 0; i < shape->field_count; i++) {
        const kennel_field *field = &shape->fields[i];
        kennel_write_name(writer, kennel_text_of(field->name));
        write_member(writer, field, (const char *)value + field->offset);
    }
    kennel_write_object_end(writer);
}

kennel_text kennel_encode(const kennel_shape *shape, const void *value) {
    kennel_writer writer = {0};
    write_object(&writer, shape, value);
    return kennel_written(&writer);
}

void kennel_decode(kennel_text text, const kennel_shape *shape, void *out) {
    kennel_text problem;
    if (!kennel_shape_read(text, shape, out, &problem)) {
        kennel_reject("the text does not fit %s: %s", shape->name, problem.data);
    }
}
