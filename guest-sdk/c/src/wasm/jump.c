/*
 * What clang's lowering of `setjmp` and `longjmp` to WebAssembly exceptions (`-mllvm -wasm-enable-sjlj`) calls.
 *
 * A jump remembers which call of a function made it, and which `setjmp` of that function. `longjmp` throws; each
 * function with a `setjmp` catches, and asks whether the jump is one of its own.
 *
 * Newer C libraries bring the same; weak symbols get along with them.
 */
#include <stdint.h>

typedef struct jump {
    void *call;
    uint32_t label;
    struct {
        void *jump;
        int value;
    } thrown;
} jump;

__asm__(".weak __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

__attribute__((weak)) void __wasm_setjmp(void *env, uint32_t label, void *call) {
    jump *made = (jump *)env;
    made->call = call;
    made->label = label;
}

__attribute__((weak)) uint32_t __wasm_setjmp_test(void *env, void *call) {
    const jump *made = (const jump *)env;
    return made->call == call ? made->label : 0;
}

__attribute__((weak)) void __wasm_longjmp(void *env, int value) {
    jump *taken = (jump *)env;
    taken->thrown.jump = env;
    taken->thrown.value = value == 0 ? 1 : value;
    __builtin_wasm_throw(1, &taken->thrown);
}
