/* The memory of one call, freed at once when it has ended. */
#include <stdlib.h>
#include <string.h>

#include "call.h"

/* Memory of a call comes from blocks. The first is kept from call to call. */
#define BLOCK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)

typedef struct block {
    struct block *older;
    size_t used;
    size_t size;
} block;

static block *newest;

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
    kennel_copy(copy, data, length);
    copy[length] = '\0';
    return (kennel_text){copy, length};
}
