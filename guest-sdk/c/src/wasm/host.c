/*
 * The door to the host: the functions of the world `kennel:projection@0.1.0` in the canonical ABI of the component
 * model, by hand. `wit/world.wit` has the types; on wasm32 the structs of `kennel.h` do not have their layout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../call.h"
#include "abi.h"
#include "output.h"

#define IMPORT(module, function)                                                                                       \
    __attribute__((import_module("kennel:projection/" module "@0.1.0"), import_name(function)))

IMPORT("read-model", "get")
extern void import_get(const char *, size_t, const char *, size_t, abi_option *);
IMPORT("read-model", "get-many")
extern void import_get_many(const char *, size_t, const kennel_text *, size_t, abi_list *);
IMPORT("read-model", "put")
extern void import_put(const char *, size_t, const char *, size_t, const char *, size_t);
IMPORT("read-model", "delete")
extern void import_delete(const char *, size_t, const char *, size_t);
IMPORT("read-model", "scan")
extern void import_scan(const char *, size_t, int32_t, const char *, size_t, const char *, size_t, uint32_t,
                        abi_list *);
IMPORT("read-model", "increment")
extern void import_increment(const char *, size_t, const char *, size_t, const char *, size_t, int64_t);
IMPORT("log", "log")
extern void import_log(int32_t, const char *, size_t);
IMPORT("config", "get")
extern void import_config(const char *, size_t, abi_option *);

/* Text that is there although it is empty: an empty list of the host may point anywhere. */
static kennel_text present(kennel_text text) {
    return text.length == 0 ? (kennel_text){"", 0} : text;
}

static kennel_text lift(abi_option option) {
    return option.is_some ? present(option.text) : (kennel_text){NULL, 0};
}

kennel_text kennel_host_get(kennel_text collection, kennel_text key) {
    abi_option document;
    import_get(collection.data, collection.length, key.data, key.length, &document);
    return lift(document);
}

kennel_text *kennel_host_get_many(kennel_text collection, const kennel_text *keys, size_t count) {
    abi_list list;
    import_get_many(collection.data, collection.length, keys, count, &list);
    const abi_option *options = (const abi_option *)list.items;
    kennel_text *documents = (kennel_text *)kennel_call_memory(list.count * sizeof *documents);
    for (size_t i = 0; i < list.count; i++) {
        documents[i] = lift(options[i]);
    }
    return documents;
}

void kennel_host_put(kennel_text collection, kennel_text key, kennel_text document) {
    import_put(collection.data, collection.length, key.data, key.length, document.data, document.length);
}

void kennel_host_delete(kennel_text collection, kennel_text key) {
    import_delete(collection.data, collection.length, key.data, key.length);
}

kennel_rows kennel_host_scan(kennel_text collection, kennel_text after, kennel_text prefix, uint32_t limit) {
    abi_list list;
    import_scan(collection.data, collection.length, after.data != NULL, after.data, after.length, prefix.data,
                prefix.length, limit, &list);
    kennel_row *rows = (kennel_row *)list.items;
    for (size_t i = 0; i < list.count; i++) {
        rows[i].key = present(rows[i].key);
        rows[i].document = present(rows[i].document);
    }
    return (kennel_rows){rows, list.count};
}

void kennel_host_increment(kennel_text collection, kennel_text key, kennel_text field, int64_t by) {
    import_increment(collection.data, collection.length, key.data, key.length, field.data, field.length, by);
}

void kennel_host_log(kennel_level level, kennel_text message) {
    import_log((int32_t)level, message.data, message.length);
}

kennel_text kennel_host_config(kennel_text key) {
    abi_option value;
    import_config(key.data, key.length, &value);
    return lift(value);
}

void kennel_host_trap(kennel_text message) {
    kennel_host_log(KENNEL_ERROR, message);
    __builtin_trap();
}

/* Memory for what the host passes. It lasts until the event is handled; text gets a NUL behind it. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t alignment,
                                                                size_t size) {
    (void)alignment; /* memory of the call is aligned for everything */
    char *memory = (char *)kennel_call_memory(size + 1);
    if (old_size > 0) {
        memcpy(memory, old, old_size < size ? old_size : size);
    }
    memory[size] = '\0';
    return memory;
}

static kennel_event event_of(const abi_event *from) {
    return (kennel_event){
        .position = from->position,
        .bounded_context = present(from->bounded_context),
        .aggregate_type = present(from->aggregate_type),
        .aggregate_id = present(from->aggregate_id),
        .aggregate_version = from->aggregate_version,
        .event_id = present(from->event_id),
        .event_type = present(from->event_type),
        .event_version = from->event_version,
        .payload_kind = from->payload.is_some ? KENNEL_PAYLOAD_BINARY : KENNEL_PAYLOAD_JSON,
        .payload = present(from->payload.text),
        .metadata = lift(from->metadata),
        .trace_id = lift(from->trace_id),
        .correlation_id = lift(from->correlation_id),
        .causation_id = lift(from->causation_id),
        .created_at = from->created_at,
    };
}

__attribute__((export_name("handle"))) const abi_result *kennel_export_handle(const abi_event *from) {
    static abi_result result;
    kennel_event event = event_of(from);
    srand((unsigned)event.position); /* the same numbers at a replay, whichever events this instance had before */
    kennel_outcome outcome = kennel_call(&event, &result.failure.reason);
    fflush(stdout);
    kennel_end_output();
    result.is_error = outcome != KENNEL_HANDLED;
    result.failure.is_reject = outcome == KENNEL_REJECTED;
    kennel_call_end();
    return &result;
}

static abi_list names_of(const char *const *names) {
    size_t count = 0;
    while (names != NULL && names[count] != NULL) {
        count++;
    }
    kennel_text *texts = (kennel_text *)kennel_call_memory(count * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        texts[i] = kennel_text_of(names[i]);
    }
    return (abi_list){texts, count};
}

static abi_list columns_of(const kennel_column *columns) {
    size_t count = 0;
    while (columns != NULL && columns[count].name != NULL) {
        count++;
    }
    abi_column *made = (abi_column *)kennel_call_memory(count * sizeof *made);
    for (size_t i = 0; i < count; i++) {
        made[i].name = kennel_text_of(columns[i].name);
        made[i].path = kennel_text_of(columns[i].path);
        made[i].data_type = (uint8_t)columns[i].data_type;
    }
    return (abi_list){made, count};
}

static abi_list indexes_of(const kennel_index *indexes) {
    size_t count = 0;
    while (indexes != NULL && indexes[count].columns != NULL) {
        count++;
    }
    abi_index *made = (abi_index *)kennel_call_memory(count * sizeof *made);
    for (size_t i = 0; i < count; i++) {
        made[i].columns = names_of(indexes[i].columns);
        made[i].unique = indexes[i].unique;
    }
    return (abi_list){made, count};
}

static abi_list collections_of(const kennel_collection *collections) {
    size_t count = 0;
    while (collections != NULL && collections[count].name != NULL) {
        count++;
    }
    abi_collection *made = (abi_collection *)kennel_call_memory(count * sizeof *made);
    for (size_t i = 0; i < count; i++) {
        made[i].name = kennel_text_of(collections[i].name);
        made[i].columns = columns_of(collections[i].columns);
        made[i].indexes = indexes_of(collections[i].indexes);
    }
    return (abi_list){made, count};
}

__attribute__((export_name("describe"))) const abi_descriptor *kennel_export_describe(void) {
    static abi_descriptor answer;
    const kennel_descriptor *descriptor = kennel_describe();
    answer.name = kennel_text_of(descriptor->name);
    answer.version = kennel_text_of(descriptor->version);
    answer.bounded_contexts = names_of(descriptor->bounded_contexts);
    answer.aggregate_types = names_of(descriptor->aggregate_types);
    answer.event_types = names_of(descriptor->event_types);
    answer.partitioning = (uint8_t)descriptor->partitioning;
    answer.collections = collections_of(descriptor->collections);
    return &answer;
}

__attribute__((export_name("cabi_post_describe"))) void kennel_export_post_describe(void *answer) {
    (void)answer;
    kennel_call_end();
}
