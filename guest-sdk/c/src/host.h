/* What the SDK needs below itself: the host on wasm (`wasm/`), the test kit elsewhere (`testing/`). */
#ifndef KENNEL_HOST_H
#define KENNEL_HOST_H

#include <stdarg.h>

#include "kennel.h"

kennel_text kennel_host_get(kennel_text collection, kennel_text key);
kennel_text *kennel_host_get_many(kennel_text collection, const kennel_text *keys, size_t count);
void kennel_host_put(kennel_text collection, kennel_text key, kennel_text document);
void kennel_host_delete(kennel_text collection, kennel_text key);
kennel_rows kennel_host_scan(kennel_text collection, kennel_text after, kennel_text prefix, uint32_t limit);
void kennel_host_increment(kennel_text collection, kennel_text key, kennel_text field, int64_t by);
void kennel_host_log(kennel_level level, kennel_text message);
kennel_text kennel_host_config(kennel_text key);

/* Ends the process, or the instance, once no event is handled that could fail. */
KENNEL_NORETURN void kennel_host_trap(kennel_text message);

#endif
