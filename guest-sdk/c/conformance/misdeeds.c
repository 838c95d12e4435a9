/* Runs, grows or recurses without end, once something is put that has to be undone. */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

void loop(const kennel_event *event) {
    attempt(event);
    for (volatile unsigned turns = 0;; turns++) {
    }
}

/* Like many programs, it takes it for granted that there is memory. */
void allocate_forever(const kennel_event *event) {
    attempt(event);
    for (volatile unsigned turns = 0;; turns++) {
        unsigned char *volatile pages = (unsigned char *)malloc(1 << 20);
        pages[0] = 1;
        memset(pages, 1, 1 << 20);
    }
}

/* Each call has a few bytes of its own. The end is out of reach. */
static unsigned deeper(volatile unsigned depth) {
    volatile unsigned char own[64];
    own[depth % sizeof own] = (unsigned char)depth;
    return depth == UINT32_MAX ? 0 : deeper(depth + 1) + own[(depth + 7) % sizeof own];
}

void recurse(const kennel_event *event) {
    attempt(event);
    kennel_log(KENNEL_INFO, "%u", deeper(0));
}
