/* The log of a test, and memory that lasts as long as a test. */
#include "test_log.h"

#include <stdlib.h>
#include <string.h>

#include "../json_scan.h"
#include "memory.h"

/* When the first event of a test was written: the start of 2026. */
#define FIRST_CREATED_AT 1767225600

typedef struct aggregate {
    struct aggregate *next;
    kennel_text context;
    kennel_text type;
    kennel_text id;
    uint64_t version;
} aggregate;

typedef struct piece {
    struct piece *next;
} piece;

static aggregate *aggregates;
static uint64_t last_position;
static piece *pieces;

void *kit_memory(size_t bytes) {
    const size_t header = 16;
    piece *made = (piece *)malloc(header + bytes);
    if (made == NULL) {
        kennel_host_trap(kennel_text_of("no memory is left"));
    }
    made->next = pieces;
    pieces = made;
    return (char *)made + header;
}

kennel_text kit_copy(kennel_text text) {
    char *copy = (char *)kit_memory(text.length + 1);
    if (text.length > 0) {
        memcpy(copy, text.data, text.length);
    }
    copy[text.length] = '\0';
    return (kennel_text){copy, text.length};
}

void kit_free_memory(void) {
    while (pieces != NULL) {
        piece *next = pieces->next;
        free(pieces);
        pieces = next;
    }
}

void kit_log_clear(void) {
    aggregates = NULL;
    last_position = 0;
}

static aggregate *aggregate_of(const kennel_event *event) {
    for (aggregate *of = aggregates; of != NULL; of = of->next) {
        if (kennel_text_equals(of->context, event->bounded_context) &&
            kennel_text_equals(of->type, event->aggregate_type) && kennel_text_equals(of->id, event->aggregate_id)) {
            return of;
        }
    }
    aggregate *made = (aggregate *)kit_memory(sizeof *made);
    *made = (aggregate){aggregates, kit_copy(event->bounded_context), kit_copy(event->aggregate_type),
                        kit_copy(event->aggregate_id), 0};
    aggregates = made;
    return made;
}

static kennel_text given_or_first(const char *given, const char *const *names) {
    if (given != NULL) {
        return kennel_text_of(given);
    }
    return kennel_text_of(names == NULL || names[0] == NULL ? "Test" : names[0]);
}

static kennel_text given_or(const char *given, const char *otherwise) {
    return kennel_text_of(given == NULL ? otherwise : given);
}

static int64_t seconds_of(uint64_t position) {
    int64_t seconds;
    return __builtin_add_overflow(position - 1, FIRST_CREATED_AT, &seconds) ? INT64_MAX : seconds;
}

static const char *fault_of(const kennel_event *event) {
    const char *error = NULL;
    size_t error_at = 0;
    if (event->event_type.data == NULL) {
        return "it has no type";
    }
    if (event->payload_kind == KENNEL_PAYLOAD_JSON &&
        kennel_scan_text(event->payload, &error, &error_at).data == NULL) {
        return kennel_format("its payload is not JSON: %s at byte %zu", error, error_at).data;
    }
    return event->created_at.nanoseconds < 1000000000 ? NULL : "its nanoseconds are a second or more";
}

const char *kit_log_append(const kennel_test_event *given, const kennel_descriptor *descriptor, kennel_event *event) {
    uint64_t position = given->position == 0 ? last_position + 1 : given->position;
    last_position = position;
    *event = (kennel_event){
        .position = position,
        .bounded_context = given_or_first(given->bounded_context, descriptor->bounded_contexts),
        .aggregate_type = given_or_first(given->aggregate_type, descriptor->aggregate_types),
        .aggregate_id = given_or(given->aggregate_id, "1"),
        .event_id = given->event_id == NULL
                        ? kennel_format("00000000-0000-4000-8000-%012llx", (unsigned long long)position)
                        : kennel_text_of(given->event_id),
        .event_type = kennel_text_of(given->event_type),
        .event_version = given->event_version == 0 ? 1 : given->event_version,
        .payload_kind = given->binary == NULL ? KENNEL_PAYLOAD_JSON : KENNEL_PAYLOAD_BINARY,
        .payload = given->binary == NULL ? given_or(given->json, "{}")
                                         : kennel_call_copy((const char *)given->binary, given->binary_bytes),
        .metadata = kennel_text_of(given->metadata),
        .trace_id = kennel_text_of(given->trace_id),
        .correlation_id = kennel_text_of(given->correlation_id),
        .causation_id = kennel_text_of(given->causation_id),
        .created_at = {seconds_of(position), 0},
    };
    if (given->created_at != NULL) {
        event->created_at = *given->created_at;
    }
    aggregate *of = aggregate_of(event);
    of->version = given->aggregate_version == 0 ? of->version + 1 : given->aggregate_version;
    event->aggregate_version = of->version;
    return fault_of(event);
}
