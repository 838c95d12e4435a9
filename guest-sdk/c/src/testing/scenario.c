/* Given some events, when another arrives, then the read model looks so. */
#include "kennel/testing.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json_scan.h"
#include "memory.h"
#include "test_log.h"

typedef struct line {
    kennel_level level;
    kennel_text text;
} line;

typedef struct setting {
    struct setting *next;
    kennel_text key;
    kennel_text value;
} setting;

/* What became of the last event. */
typedef enum result { NOTHING_YET, OUT_OF_SCOPE, CALLED } result;

static const kennel_descriptor *descriptor;
static result last_result;
static kennel_outcome outcome;
static kennel_text reason;
static bool failure_is_expected;
static line lines[KENNEL_LINES_MAX];
static size_t line_count;
static setting *settings;

static jmp_buf end_of_test;
static char complaint[8192];

static KENNEL_NORETURN KENNEL_PRINTF(3, 4) void fail_test(const char *file, int at, const char *format, ...) {
    int length = snprintf(complaint, sizeof complaint, "%s:%d: ", file, at);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint + length, sizeof complaint - (size_t)length, format, arguments);
    va_end(arguments);
    longjmp(end_of_test, 1);
}

static const char *story(void) {
    static const char *const stories[] = {
        "it was handled", "it is to be tried again: ", "it was rejected: ", "it broke a rule of the host: "};
    if (last_result == NOTHING_YET) {
        return "there is no event";
    }
    if (last_result == OUT_OF_SCOPE) {
        return "it is not in the scope";
    }
    return outcome == KENNEL_HANDLED ? stories[0] : kennel_format("%s%s", stories[outcome], reason.data).data;
}

void kennel_host_log(kennel_level level, kennel_text message) {
    if (line_count < KENNEL_LINES_MAX) {
        lines[line_count++] = (line){level, kit_copy(message)};
    }
}

kennel_text kennel_host_config(kennel_text key) {
    for (const setting *of = settings; of != NULL; of = of->next) {
        if (kennel_text_equals(of->key, key)) {
            return of->value;
        }
    }
    return (kennel_text){NULL, 0};
}

void kennel_host_trap(kennel_text message) {
    fprintf(stderr, "outside of a handler: %.*s\n", (int)message.length, message.data);
    _Exit(134);
}

static bool is_asked_for(const char *const *names, kennel_text name) {
    if (names == NULL || names[0] == NULL) {
        return true;
    }
    for (; *names != NULL; names++) {
        if (kennel_text_is(name, *names)) {
            return true;
        }
    }
    return false;
}

static void demand_success(const char *file, int at) {
    bool has_failed = last_result == CALLED && outcome != KENNEL_HANDLED;
    if (has_failed && !failure_is_expected) {
        fail_test(file, at, "the event was expected to be handled, but %s", story());
    }
}

static void deliver(const char *file, int at, const kennel_test_event *given) {
    demand_success(file, at);
    kennel_call_end();
    failure_is_expected = false;
    line_count = 0;
    kennel_event event;
    const char *fault = kit_log_append(given, descriptor, &event);
    if (fault != NULL) {
        fail_test(file, at, "the event cannot be: %s", fault);
    }
    bool is_in_scope = is_asked_for(descriptor->bounded_contexts, event.bounded_context) &&
                       is_asked_for(descriptor->aggregate_types, event.aggregate_type) &&
                       is_asked_for(descriptor->event_types, event.event_type);
    last_result = is_in_scope ? CALLED : OUT_OF_SCOPE;
    if (!is_in_scope) {
        return;
    }
    kit_model_begin_event();
    kennel_text why;
    outcome = kennel_call(&event, &why);
    reason = kit_copy(why);
    if (outcome != KENNEL_HANDLED) {
        kit_model_roll_back();
    }
    kennel_call_end();
}

void kennel_test_when(const char *file, int at, kennel_test_event event) {
    deliver(file, at, &event);
}

void kennel_test_given(const char *file, int at, kennel_test_event event) {
    deliver(file, at, &event);
    demand_success(file, at);
}

void kennel_test_setting(const char *key, const char *value) {
    setting *made = (setting *)kit_memory(sizeof *made);
    *made = (setting){settings, kit_copy(kennel_text_of(key)), kit_copy(kennel_text_of(value))};
    settings = made;
}

void kennel_test_handled(const char *file, int at) {
    if (last_result != CALLED || outcome != KENNEL_HANDLED) {
        fail_test(file, at, "the event was expected to be handled, but %s", story());
    }
}

void kennel_test_out_of_scope(const char *file, int at) {
    if (last_result != OUT_OF_SCOPE) {
        fail_test(file, at, "the event was expected to be out of scope, but %s", story());
    }
}

static void expect_failure(const char *file, int at, kennel_outcome expected, const char *what, const char *text) {
    if (last_result != CALLED || outcome != expected || strstr(reason.data, text) == NULL) {
        fail_test(file, at, "the event was expected to %s with \"%s\", but %s", what, text, story());
    }
    failure_is_expected = true;
}

void kennel_test_rejects(const char *file, int at, const char *text) {
    expect_failure(file, at, KENNEL_REJECTED, "be rejected", text);
}

void kennel_test_retries(const char *file, int at, const char *text) {
    expect_failure(file, at, KENNEL_RETRIED, "be tried again", text);
}

void kennel_test_traps(const char *file, int at, const char *text) {
    expect_failure(file, at, KENNEL_TRAPPED, "break a rule", text);
}

static kennel_json expected_json(const char *file, int at, const char *json) {
    const char *error = NULL;
    size_t error_at = 0;
    kennel_json value = kennel_scan_text(kennel_text_of(json), &error, &error_at);
    if (value.data == NULL) {
        fail_test(file, at, "the expected text is not JSON: %s at byte %zu", error, error_at);
    }
    return value;
}

static void compare_documents(const char *file, int at, const kit_document *found, kennel_json expected) {
    kennel_text left = kit_canonical(kennel_json_parse(found->text)), right = kit_canonical(expected);
    if (!kennel_text_equals(left, right)) {
        fail_test(file, at, "document %s/%s is %s\n  expected %.*s", found->collection.data, found->key.data,
                  found->text.data, (int)expected.length, expected.data);
    }
}

void kennel_test_document(const char *file, int at, const char *collection, const char *key, const char *json) {
    demand_success(file, at);
    const kit_document *found = kit_model_find(kennel_text_of(collection), kennel_text_of(key));
    if (found == NULL) {
        fail_test(file, at, "there is no document %s/%s\n  expected %s", collection, key, json);
    }
    compare_documents(file, at, found, expected_json(file, at, json));
}

void kennel_test_no_document(const char *file, int at, const char *collection, const char *key) {
    demand_success(file, at);
    const char *found = kennel_test_text(collection, key);
    if (found != NULL) {
        fail_test(file, at, "document %s/%s is %s\n  expected none", collection, key, found);
    }
}

void kennel_test_collection(const char *file, int at, const char *collection, const char *json) {
    demand_success(file, at);
    kennel_json expected = expected_json(file, at, json);
    size_t count, found = 0, wanted = 0;
    const kit_document *all = kit_model_all(&count);
    for (size_t i = 0; i < count; i++) {
        found += kennel_text_is(all[i].collection, collection);
    }
    kennel_json_walk walk = kennel_json_begin(expected);
    for (; kennel_json_next(&walk); wanted++) {
        const kit_document *document = kit_model_find(kennel_text_of(collection), walk.name);
        if (document == NULL) {
            fail_test(file, at, "there is no document %s/%s", collection, walk.name.data);
        }
        compare_documents(file, at, document, walk.value);
    }
    if (found != wanted) {
        fail_test(file, at, "collection %s has %zu documents, expected %zu", collection, found, wanted);
    }
}

void kennel_test_logs(const char *file, int at, kennel_level level, const char *text) {
    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].level == level && strstr(lines[i].text.data, text) != NULL) {
            return;
        }
    }
    fail_test(file, at, "none of %zu lines has the level %d and \"%s\"; the first is \"%s\"", line_count, (int)level,
              text, line_count == 0 ? "" : lines[0].text.data);
}

void kennel_test_expect(const char *file, int at, bool holds, const char *condition) {
    if (!holds) {
        fail_test(file, at, "this does not hold: %s", condition);
    }
}

const char *kennel_test_text(const char *collection, const char *key) {
    const kit_document *found = kit_model_find(kennel_text_of(collection), kennel_text_of(key));
    return found == NULL ? NULL : found->text.data;
}

static void clear(void) {
    kit_model_clear();
    kit_log_clear();
    kit_free_memory();
    kennel_call_end();
    settings = NULL;
    line_count = 0;
    last_result = NOTHING_YET;
    failure_is_expected = false;
}

const char *kennel_test_complaint(void (*run)(void)) {
    clear();
    complaint[0] = '\0';
    if (setjmp(end_of_test) == 0) {
        descriptor = kennel_describe();
        const char *fault = kit_descriptor_fault(descriptor);
        if (fault != NULL) {
            fail_test("kennel_describe", 0, "the descriptor %s", fault);
        }
        run();
        demand_success("at the end", 0);
    }
    clear();
    return complaint[0] == '\0' ? NULL : complaint;
}

int kennel_run_tests(const kennel_test *tests, size_t count) {
    size_t failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        const char *why = kennel_test_complaint(tests[i].run);
        printf("%sok %zu - %s\n", why == NULL ? "" : "not ", i + 1, tests[i].name);
        if (why != NULL) {
            printf("# %s\n", why);
            failed++;
        }
    }
    return failed == 0 ? 0 : 1;
}
