/*
 * What clang's checks for undefined behavior (`-fsanitize=undefined`) call: the event is rejected with file and line.
 *
 * The checks pass a description, which begins with the place in the source. WebAssembly has no page at address 0, so
 * without them a null pointer would read and write memory.
 */
#include "../call.h"

typedef struct place {
    const char *file;
    uint32_t line;
    uint32_t column;
} place;

static KENNEL_NORETURN void reject(const place *at, const char *what) {
    const char *file = at->file == NULL ? "unknown" : at->file;
    kennel_reject("undefined behavior: %s (%s:%u:%u)", what, file, (unsigned)at->line, (unsigned)at->column);
}

/* Handlers have up to two more arguments, of which none is needed. */
#define ONE(name, what)                                                                                                \
    void __ubsan_handle_##name(const place *at) {                                                                      \
        reject(at, what);                                                                                              \
    }
#define TWO(name, what)                                                                                                \
    void __ubsan_handle_##name(const place *at, uintptr_t value) {                                                     \
        (void)value;                                                                                                   \
        reject(at, what);                                                                                              \
    }
#define THREE(name, what)                                                                                              \
    void __ubsan_handle_##name(const place *at, uintptr_t left, uintptr_t right) {                                     \
        (void)left;                                                                                                    \
        (void)right;                                                                                                   \
        reject(at, what);                                                                                              \
    }

THREE(add_overflow, "the sum does not fit its type")
THREE(sub_overflow, "the difference does not fit its type")
THREE(mul_overflow, "the product does not fit its type")
TWO(negate_overflow, "the negated number does not fit its type")
THREE(divrem_overflow, "a division by zero, or whose result does not fit its type")
THREE(shift_out_of_bounds, "a shift by too many bits")
TWO(out_of_bounds, "an index beyond its array")
THREE(pointer_overflow, "a pointer beyond its object")
TWO(load_invalid_value, "a value that its type does not have")
TWO(vla_bound_not_positive, "an array without elements")
ONE(builtin_unreachable, "code that cannot be reached")
ONE(missing_return, "a function that returns no value")
ONE(nonnull_arg, "a null pointer as an argument")
ONE(invalid_builtin, "a call with an argument that it does not take")

void __ubsan_handle_type_mismatch_v1(const place *at, uintptr_t pointer) {
    reject(at, pointer == 0 ? "a null pointer" : "a pointer that is not aligned, or to too small an object");
}
