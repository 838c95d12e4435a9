/*
 * One call of `kennel_handle`: how it ends early, and the memory that lasts as long as it does.
 *
 * `setjmp` and `longjmp` are the C library's, but on wasm those of `wasm/jump.c`: old C libraries have none there.
 */
#ifndef KENNEL_CALL_H
#define KENNEL_CALL_H

#include <string.h>

#include "bounds.h"
#include "host.h"

typedef enum kennel_outcome { KENNEL_HANDLED, KENNEL_RETRIED, KENNEL_REJECTED, KENNEL_TRAPPED } kennel_outcome;

/* Handles one event. The reason is valid until the next call; memory of the call is kept until `kennel_call_end`. */
kennel_outcome kennel_call(const kennel_event *event, kennel_text *reason);

/* Frees what the call has allocated. */
void kennel_call_end(void);

/* Ends the call that is at work. Does not return. */
KENNEL_NORETURN void kennel_call_fail(kennel_outcome outcome, const char *format, va_list arguments);

/* Memory of the call, not zeroed. */
void *kennel_call_memory(size_t bytes);

/* A copy of bytes in memory of the call, with a NUL behind it. */
kennel_text kennel_call_copy(const char *data, size_t length);

/* Copies bytes, mostly few: on wasm the call of `memcpy` costs more than what it does for them. */
static inline void kennel_copy(char *to, const char *from, size_t length) {
    if (length > 64) {
        memcpy(to, from, length);
        return;
    }
    for (; length >= 8; length -= 8, to += 8, from += 8) {
        memcpy(to, from, 8);
    }
    if (length & 4) {
        memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    if (length & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (length & 1) {
        *to = *from;
    }
}

/* Makes text valid UTF-8 in place, by question marks, of at most so many bytes. Gives its length. */
size_t kennel_make_utf8(char *text, size_t length, size_t bytes_max);

/* Whether bytes are UTF-8. */
bool kennel_is_utf8(const char *text, size_t length);

#endif
