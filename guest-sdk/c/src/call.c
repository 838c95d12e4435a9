/* One call of the projection: it ends when the handler returns, or at the first failure. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jump.h"

/* Memory of a call comes from blocks. The first is kept from call to call. */
#define BLOCK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)

typedef struct block {
    struct block *older;
    size_t used;
    size_t size;
} block;

static block *newest;

static bool is_active;
static kennel_jump way_out;
static kennel_outcome outcome_of_call;
static char reason_of_call[KENNEL_REASON_BYTES_MAX + 4];
static size_t reason_length;

kennel_outcome kennel_call(const kennel_event *event, kennel_text *reason) {
    outcome_of_call = KENNEL_HANDLED;
    reason_length = 0;
    is_active = true;
    if (setjmp(way_out) == 0) {
        kennel_handle(event);
    }
    is_active = false;
    reason->data = reason_of_call;
    reason->length = reason_length;
    return outcome_of_call;
}

void kennel_call_fail(kennel_outcome outcome, const char *format, va_list arguments) {
    int length = vsnprintf(reason_of_call, sizeof reason_of_call, format, arguments);
    reason_length = length < 0 ? 0 : (size_t)length;
    if (reason_length >= sizeof reason_of_call) {
        reason_length = sizeof reason_of_call - 1;
    }
    reason_length = kennel_make_utf8(reason_of_call, reason_length, KENNEL_REASON_BYTES_MAX);
    outcome_of_call = outcome;
    if (!is_active) {
        kennel_host_trap((kennel_text){reason_of_call, reason_length});
    }
    longjmp(way_out, 1);
}

void kennel_reject(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    kennel_call_fail(KENNEL_REJECTED, format, arguments);
}

void kennel_retry(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    kennel_call_fail(KENNEL_RETRIED, format, arguments);
}

static block *new_block(size_t bytes) {
    size_t header = (sizeof(block) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    size_t size = header + bytes;
    if (size < BLOCK_BYTES) {
        size = BLOCK_BYTES;
    }
    block *made = size < bytes ? NULL : (block *)malloc(size);
    if (made == NULL) {
        kennel_host_trap(kennel_text_of("no memory is left"));
    }
    made->older = newest;
    made->used = header;
    made->size = size;
    return made;
}

void *kennel_call_memory(size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        kennel_host_trap(kennel_text_of("no memory is left"));
    }
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (newest == NULL || newest->size - newest->used < rounded) {
        newest = new_block(rounded);
    }
    void *memory = (char *)newest + newest->used;
    newest->used += rounded;
    return memory;
}

void kennel_call_end(void) {
    while (newest != NULL && (newest->older != NULL || newest->size > BLOCK_BYTES)) {
        block *older = newest->older;
        free(newest);
        newest = older;
    }
    if (newest != NULL) {
        newest->used = (sizeof(block) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    }
}

void *kennel_alloc(size_t bytes) {
    void *memory = kennel_call_memory(bytes);
    return memset(memory, 0, bytes);
}

kennel_text kennel_call_copy(const char *data, size_t length) {
    char *copy = (char *)kennel_call_memory(length + 1);
    if (length > 0) {
        memcpy(copy, data, length);
    }
    copy[length] = '\0';
    return (kennel_text){copy, length};
}
