/* `setjmp` and `longjmp` for the SDK's own use. Code between them needs no options of the compiler. */
#ifndef KENNEL_JUMP_H
#define KENNEL_JUMP_H

#ifdef __wasm__

typedef void *kennel_jump[4];
int setjmp(kennel_jump jump) __attribute__((returns_twice));
_Noreturn void longjmp(kennel_jump jump, int value);

#else

#include <setjmp.h>

typedef jmp_buf kennel_jump;

#endif

#endif
