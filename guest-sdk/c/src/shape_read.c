/* Structs from JSON by their shape, in one pass. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json_scan.h"
#include "shape.h"

/* Of so many fields, which were read is noted on the stack. */
#define FIELDS_FEW 64

/* A path to the value at fault, from the inside out: a field, or an element of the list that the outer path is. */
typedef struct path {
    const struct path *outer;
    const char *name;
    size_t index;
} path;

static kennel_text path_shown(const path *at) {
    if (at == NULL) {
        return kennel_text_of("the value");
    }
    const char *outer = at->outer == NULL ? "" : path_shown(at->outer).data;
    if (at->name == NULL) {
        return kennel_format("%s[%zu]", outer, at->index);
    }
    return kennel_format("%s%s%s", outer, at->outer == NULL ? "" : ".", at->name);
}

/* The text of a struct while it is read, in one pass. */
typedef struct reading {
    kennel_scan_state state;
    kennel_text problem; /* why the text does not fit, unless the state says why it is no JSON */
} reading;

static bool misfit(reading *of, const path *at, const char *expected, kennel_json found) {
    of->problem =
        kennel_format("%s: %s is expected, found %s", path_shown(at).data, expected, kennel_json_shown(found).data);
    return false;
}

/* Moves past a value. */
static bool take(reading *from, kennel_json *value) {
    value->data = from->state.at;
    bool is_value = kennel_scan_value(&from->state);
    value->length = (size_t)(from->state.at - value->data);
    return is_value;
}

/* Reads a value into a member. Gives false if it does not fit. */
static bool read_member(kennel_type type, kennel_json_kind kind, kennel_json json, void *member) {
    switch (type) {
    case KENNEL_TYPE_TEXT:
        if (kind == KENNEL_JSON_TEXT) {
            *(kennel_text *)member = kennel_unescape(json);
            return ((kennel_text *)member)->data != NULL;
        }
        return false;
    case KENNEL_TYPE_INTEGER:
        return kind == KENNEL_JSON_NUMBER && kennel_parse_integer(json, (int64_t *)member);
    case KENNEL_TYPE_UNSIGNED:
        return kind == KENNEL_JSON_NUMBER && kennel_parse_unsigned(json, (uint64_t *)member);
    case KENNEL_TYPE_NUMBER:
        if (kind == KENNEL_JSON_NUMBER) {
            *(double *)member = kennel_json_number(json);
        }
        return kind == KENNEL_JSON_NUMBER;
    case KENNEL_TYPE_BOOLEAN:
        *(bool *)member = json.data[0] == 't';
        return kind == KENNEL_JSON_BOOLEAN;
    default:
        *(kennel_json *)member = json;
        return true;
    }
}

static const char *expected_of(const kennel_field *field, kennel_json_kind found) {
    static const char *const names[] = {
        [KENNEL_TYPE_TEXT] = "a string",
        [KENNEL_TYPE_INTEGER] = "a whole number that fits 64 bits",
        [KENNEL_TYPE_UNSIGNED] = "a whole number of at least 0 that fits 64 bits",
        [KENNEL_TYPE_NUMBER] = "a number",
        [KENNEL_TYPE_BOOLEAN] = "true or false",
        [KENNEL_TYPE_JSON] = "a value",
    };
    bool is_half = field->type == KENNEL_TYPE_TEXT && found == KENNEL_JSON_TEXT;
    return is_half ? "text without halves of surrogate pairs" : names[field->type];
}

static bool read_object(reading *from, const kennel_shape *shape, void *out, const path *at);

/* Reads a value that is not a list, or an element of one. */
static bool read_value(reading *from, const kennel_field *field, void *member, const path *at) {
    if (field->type == KENNEL_TYPE_OBJECT) {
        return read_object(from, field->shape, member, at);
    }
    kennel_json json;
    if (!take(from, &json)) {
        return false;
    }
    kennel_json_kind kind = kennel_json_kind_of(json);
    return read_member(field->type, kind, json, member) || misfit(from, at, expected_of(field, kind), json);
}

/* Makes room for one more element. */
static void *next_element(kennel_items *list, size_t *capacity, size_t size) {
    if (list->count == *capacity) {
        *capacity = *capacity == 0 ? 8 : *capacity * 2;
        void *grown = kennel_alloc(*capacity * size);
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * size);
        }
        list->items = grown;
    }
    return (char *)list->items + list->count++ * size;
}

static bool read_list(reading *from, const kennel_field *field, void *member, const path *at) {
    kennel_scan_state *state = &from->state;
    if (state->at >= state->end || *state->at != '[') {
        kennel_json json;
        return take(from, &json) && misfit(from, at, "an array", json);
    }
    size_t size = kennel_element_size(field), capacity = 0;
    kennel_items list = {kennel_alloc(1), 0}; /* an empty list is not none */
    for (bool more = kennel_scan_begin(state); more; more = kennel_scan_more(state, ']')) {
        path element = {at, NULL, list.count};
        if (!read_value(from, field, next_element(&list, &capacity, size), &element)) {
            return false;
        }
    }
    memcpy(member, &list, sizeof list);
    return state->error == NULL;
}

static bool read_field(reading *from, const kennel_field *field, void *member, const path *at) {
    if (field->is_optional && from->state.at < from->state.end && *from->state.at == 'n') {
        return kennel_scan_value(&from->state);
    }
    return field->is_list ? read_list(from, field, member, at) : read_value(from, field, member, at);
}

/* The field of this name; the search begins where the last one ended, since fields mostly keep their order. */
static const kennel_field *field_named(const kennel_shape *shape, kennel_text name, size_t *next) {
    for (size_t i = 0, index = *next; i < shape->field_count; i++, index++) {
        if (index >= shape->field_count) {
            index = 0;
        }
        if (kennel_text_is(name, shape->fields[index].name)) {
            *next = index + 1;
            return &shape->fields[index];
        }
    }
    return NULL;
}

static bool find_missing(reading *from, const kennel_shape *shape, const bool *is_set, const path *at) {
    for (size_t i = 0; i < shape->field_count; i++) {
        if (!is_set[i] && !shape->fields[i].is_optional) {
            path missing = {at, shape->fields[i].name, 0};
            from->problem = kennel_format("%s is missing", path_shown(&missing).data);
            return false;
        }
    }
    return true;
}

static bool read_object(reading *from, const kennel_shape *shape, void *out, const path *at) {
    kennel_scan_state *state = &from->state;
    if (state->at >= state->end || *state->at != '{') {
        kennel_json json;
        return take(from, &json) && misfit(from, at, "an object", json);
    }
    bool few[FIELDS_FEW] = {false};
    bool *is_set = shape->field_count > FIELDS_FEW ? (bool *)kennel_alloc(shape->field_count * sizeof(bool)) : few;
    size_t next = 0;
    for (bool more = kennel_scan_begin(state); more; more = kennel_scan_more(state, '}')) {
        kennel_json name = {state->at, 0};
        if (!kennel_scan_name(state, &name.length)) {
            return false;
        }
        const kennel_field *field = field_named(shape, kennel_name_of(name), &next);
        if (field == NULL) {
            if (!kennel_scan_value(state)) {
                return false;
            }
            continue;
        }
        path inner = {at, field->name, 0};
        if (is_set[field - shape->fields]) {
            from->problem = kennel_format("%s is there twice", path_shown(&inner).data);
            return false;
        }
        is_set[field - shape->fields] = true;
        if (!read_field(from, field, (char *)out + field->offset, &inner)) {
            return false;
        }
    }
    return state->error == NULL && find_missing(from, shape, is_set, at);
}

bool kennel_shape_read(kennel_text text, const kennel_shape *shape, void *out, kennel_text *problem) {
    memset(out, 0, shape->size);
    reading from = {{text.data, text.data + text.length, NULL}, {NULL, 0}};
    kennel_scan_space(&from.state);
    if (read_object(&from, shape, out, NULL) && kennel_scan_end(&from.state)) {
        return true;
    }
    *problem = from.state.error == NULL
                   ? from.problem
                   : kennel_format("%s at byte %zu", from.state.error, (size_t)(from.state.at - text.data));
    return false;
}

void kennel_decode(kennel_text text, const kennel_shape *shape, void *out) {
    kennel_text problem;
    if (!kennel_shape_read(text, shape, out, &problem)) {
        kennel_reject("the text does not fit %s: %s", shape->name, problem.data);
    }
}
