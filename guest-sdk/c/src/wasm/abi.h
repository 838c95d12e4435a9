/* The records of `wit/world.wit` as they lie in the memory of wasm32. */
#ifndef KENNEL_ABI_H
#define KENNEL_ABI_H

#include "kennel.h"

typedef struct abi_list {
    const void *items;
    size_t count;
} abi_list;

/* `option<string>`, and the variant `payload`, whose second case is `binary`. */
typedef struct abi_option {
    uint8_t is_some;
    kennel_text text;
} abi_option;

typedef struct abi_event {
    uint64_t position;
    kennel_text bounded_context;
    kennel_text aggregate_type;
    kennel_text aggregate_id;
    uint64_t aggregate_version;
    kennel_text event_id;
    kennel_text event_type;
    uint32_t event_version;
    abi_option payload;
    abi_option metadata;
    abi_option trace_id;
    abi_option correlation_id;
    abi_option causation_id;
    kennel_timestamp created_at;
} abi_event;

_Static_assert(sizeof(abi_event) == 136 && offsetof(abi_event, created_at) == 120, "the layout of an event");

typedef struct abi_column {
    kennel_text name;
    kennel_text path;
    uint8_t data_type;
} abi_column;

typedef struct abi_index {
    abi_list columns;
    uint8_t unique;
} abi_index;

typedef struct abi_collection {
    kennel_text name;
    abi_list columns;
    abi_list indexes;
} abi_collection;

typedef struct abi_descriptor {
    kennel_text name;
    kennel_text version;
    abi_list bounded_contexts;
    abi_list aggregate_types;
    abi_list event_types;
    uint8_t partitioning;
    abi_list collections;
} abi_descriptor;

/* `result<_, failure>`. */
typedef struct abi_result {
    uint8_t is_error;
    struct {
        uint8_t is_reject;
        kennel_text reason;
    } failure;
} abi_result;

#endif
