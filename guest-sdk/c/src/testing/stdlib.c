/* A failed assertion and `abort` end the handler natively as they do on wasm. */
#include "../call.h"

#if defined(__GLIBC__)

KENNEL_NORETURN void __assert_fail(const char *expression, const char *file, unsigned line, const char *function) {
    kennel_reject("assertion failed: %s (%s:%u, %s)", expression, file, line, function);
}

KENNEL_NORETURN void abort(void) {
    kennel_reject("abort was called");
}

#endif
