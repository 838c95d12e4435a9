/* One call of the projection: it ends when the handler returns, or at the first failure. */
#include "call.h"

#include <stdio.h>

#include "jump.h"

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
