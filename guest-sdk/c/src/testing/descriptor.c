/* What a descriptor may say: the rules of wit/world.wit, which the host checks when a component is deployed. */
#include <string.h>

#include "../json_scan.h"
#include "memory.h"

static bool is_name(const char *name, bool controls_are_allowed) {
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || length > KENNEL_NAME_BYTES_MAX || !kennel_is_utf8(name, length)) {
        return false;
    }
    for (size_t i = 0; i < length && !controls_are_allowed; i++) {
        unsigned char c = (unsigned char)name[i], next = (unsigned char)name[i + 1];
        bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1) {
            return false;
        }
    }
    return true;
}

static const char *names_fault(const char *list, const char *const *names) {
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (i == KENNEL_NAMES_MAX) {
            return kennel_format("has more than %d %s", KENNEL_NAMES_MAX, list).data;
        }
        if (!is_name(names[i], false)) {
            return kennel_format("has \"%s\" in %s: use 1 to %d bytes without control characters", names[i], list,
                                 KENNEL_NAME_BYTES_MAX)
                .data;
        }
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_column_name(const char *name) {
    static const char *const reserved[] = {"key",      "document", "revision", "rowid", "oid",  "ctid",
                                           "tableoid", "xmin",     "xmax",     "cmin",  "cmax", NULL};
    size_t length = strlen(name);
    bool begins_well = name[0] >= 'a' && name[0] <= 'z';
    bool has_others = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != length;
    return begins_well && !has_others && length <= KENNEL_COLUMN_NAME_BYTES_MAX && !is_one_of(name, reserved);
}

static bool is_path(const char *path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = path == NULL ? 0 : strlen(path);
    kennel_scan_state state = {path, path + length, NULL};
    if (length == 0 || length > KENNEL_PATH_BYTES_MAX || !kennel_is_utf8(path, length)) {
        return false;
    }
    for (int fields = 1; fields <= KENNEL_PATH_FIELDS_MAX; fields++) {
        size_t bare = strspn(state.at, plain);
        if (bare > 0) {
            state.at += bare;
        } else if (!kennel_scan_string(&state)) {
            return false;
        }
        if (state.at == state.end) {
            return true;
        }
        if (*state.at++ != '.') {
            return false;
        }
    }
    return false;
}

static const char *columns_fault(const kennel_column *columns, size_t *count) {
    for (size_t i = 0; columns != NULL && columns[i].name != NULL; i++) {
        if (++*count > KENNEL_COLUMNS_MAX) {
            return kennel_format("has more than %d columns", KENNEL_COLUMNS_MAX).data;
        }
        if (!is_column_name(columns[i].name)) {
            return kennel_format("has a column that cannot be called \"%s\"", columns[i].name).data;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(columns[i].name, columns[j].name) == 0) {
                return kennel_format("has two columns %s in one collection", columns[i].name).data;
            }
        }
        if (!is_path(columns[i].path)) {
            return kennel_format("has no valid path for column %s", columns[i].name).data;
        }
    }
    return NULL;
}

static const kennel_column *column_named(const kennel_column *columns, const char *name) {
    for (; columns != NULL && columns->name != NULL; columns++) {
        if (strcmp(columns->name, name) == 0) {
            return columns;
        }
    }
    return NULL;
}

static const char *index_fault(const kennel_column *columns, const char *const *names) {
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        const kennel_column *column = column_named(columns, names[count]);
        if (column == NULL) {
            return kennel_format("has an index of column %s, which is not declared", names[count]).data;
        }
        if (column->data_type == KENNEL_COLUMN_JSON) {
            return kennel_format("has an index of column %s, which has no order", names[count]).data;
        }
        for (size_t j = 0; j < count; j++) {
            if (strcmp(names[j], names[count]) == 0) {
                return kennel_format("has an index with column %s twice", names[count]).data;
            }
        }
    }
    return count > 0 && count <= KENNEL_INDEX_COLUMNS_MAX ? NULL : "has an index without columns, or of more than 16";
}

static bool are_equal(const char *const *left, const char *const *right) {
    while (*left != NULL && *right != NULL && strcmp(*left, *right) == 0) {
        left++;
        right++;
    }
    return *left == NULL && *right == NULL;
}

static const char *indexes_fault(const kennel_collection *of, size_t *count) {
    for (size_t i = 0; of->indexes != NULL && of->indexes[i].columns != NULL; i++) {
        if (++*count > KENNEL_INDEXES_MAX) {
            return kennel_format("has more than %d indexes", KENNEL_INDEXES_MAX).data;
        }
        const char *fault = index_fault(of->columns, of->indexes[i].columns);
        if (fault != NULL) {
            return fault;
        }
        for (size_t j = 0; j < i; j++) {
            if (are_equal(of->indexes[i].columns, of->indexes[j].columns)) {
                return "has two indexes of the same columns";
            }
        }
    }
    return NULL;
}

static const char *collections_fault(const kennel_collection *collections) {
    size_t columns = 0, indexes = 0;
    for (size_t i = 0; collections != NULL && collections[i].name != NULL; i++) {
        if (i == KENNEL_COLLECTIONS_MAX) {
            return kennel_format("has more than %d collections", KENNEL_COLLECTIONS_MAX).data;
        }
        if (!is_name(collections[i].name, true)) {
            return "has a collection whose name is not 1 to 200 bytes of text";
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(collections[i].name, collections[j].name) == 0) {
                return kennel_format("has two collections %s", collections[i].name).data;
            }
        }
        const char *fault = columns_fault(collections[i].columns, &columns);
        fault = fault == NULL ? indexes_fault(&collections[i], &indexes) : fault;
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

const char *kit_descriptor_fault(const kennel_descriptor *descriptor) {
    if (!is_name(descriptor->name, false) || !is_name(descriptor->version, false)) {
        return "needs a name and a version of 1 to 200 bytes without control characters";
    }
    const char *fault = names_fault("bounded_contexts", descriptor->bounded_contexts);
    fault = fault == NULL ? names_fault("aggregate_types", descriptor->aggregate_types) : fault;
    fault = fault == NULL ? names_fault("event_types", descriptor->event_types) : fault;
    return fault == NULL ? collections_fault(descriptor->collections) : fault;
}
