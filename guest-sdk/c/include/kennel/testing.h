/*
 * Test a projection natively, without wasm and without a host: link it with `src` and `src/testing`.
 *
 * Each test has an empty log and an empty read model. What the host does is done here too: events out of scope do not
 * arrive, the changes of a failed event are undone, and a call that breaks a bound of the contract ends the handler.
 * What only wasm has is not here: limits of time and of an instance's memory.
 *
 * A check that does not hold ends its test. A check of the read model demands that the last event was handled, unless
 * a check before it said how it failed.
 */
#ifndef KENNEL_TESTING_H
#define KENNEL_TESTING_H

#include "../kennel.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An event for a test. Members that are zero are filled in: it is the next of the log and of its aggregate, belongs to
 * the first bounded context and aggregate type that the projection asks for, is of aggregate `1`, was written one
 * second after the event before it (the first at the start of 2026), and carries `{}`.
 */
typedef struct kennel_test_event {
    const char *event_type;
    const char *aggregate_id;
    const char *json;    /* the payload */
    const void *binary;  /* the payload, if it is not JSON */
    size_t binary_bytes; /* how long it is */
    const char *bounded_context;
    const char *aggregate_type;
    uint64_t position; /* later events follow it */
    uint64_t aggregate_version;
    const char *event_id;
    uint32_t event_version;
    const char *metadata;
    const char *trace_id;
    const char *correlation_id;
    const char *causation_id;
    const kennel_timestamp *created_at;
} kennel_test_event;

/* `KENNEL_WHEN("OrderPlaced", .aggregate_id = "o-1", .json = "{\"customer\":\"c-1\"}")`: the event under test. */
#define KENNEL_WHEN(...) kennel_test_when(__FILE__, __LINE__, (kennel_test_event){__VA_ARGS__})

/* An event that is handled before. */
#define KENNEL_GIVEN(...) kennel_test_given(__FILE__, __LINE__, (kennel_test_event){__VA_ARGS__})

/* A setting of the deployment. */
#define KENNEL_SETTING(key, value) kennel_test_setting(key, value)

#define KENNEL_THEN_HANDLED() kennel_test_handled(__FILE__, __LINE__)
#define KENNEL_THEN_OUT_OF_SCOPE() kennel_test_out_of_scope(__FILE__, __LINE__)

/* The event failed so, for a reason that contains the text. */
#define KENNEL_THEN_REJECTS(text) kennel_test_rejects(__FILE__, __LINE__, text)
#define KENNEL_THEN_RETRIES(text) kennel_test_retries(__FILE__, __LINE__, text)

/* A call broke a rule of the host, which ended the handler. */
#define KENNEL_THEN_TRAPS(text) kennel_test_traps(__FILE__, __LINE__, text)

/* There is such a document, equal as JSON: the order of fields does not count, and every digit of numbers does. */
#define KENNEL_THEN_DOCUMENT(collection, key, json) kennel_test_document(__FILE__, __LINE__, collection, key, json)
#define KENNEL_THEN_NO_DOCUMENT(collection, key) kennel_test_no_document(__FILE__, __LINE__, collection, key)

/* The collection holds these documents and no others. `json` is an object: key to document. */
#define KENNEL_THEN_COLLECTION(collection, json) kennel_test_collection(__FILE__, __LINE__, collection, json)

/* The last event wrote such a line to the log. */
#define KENNEL_THEN_LOGS(level, text) kennel_test_logs(__FILE__, __LINE__, level, text)

/* Any other check. */
#define KENNEL_EXPECT(condition) kennel_test_expect(__FILE__, __LINE__, condition, #condition)

/* The text of a document, or NULL, for checks of its bytes. */
const char *kennel_test_text(const char *collection, const char *key);

typedef struct kennel_test {
    const char *name;
    void (*run)(void);
} kennel_test;

#define KENNEL_TEST(function) {#function, function}

/* Runs tests and prints what became of each in the Test Anything Protocol. Gives the exit code. */
int kennel_run_tests(const kennel_test *tests, size_t count);

/* Runs a test that should fail, and gives its complaint, or NULL if it passes. */
const char *kennel_test_complaint(void (*run)(void));

void kennel_test_given(const char *file, int line, kennel_test_event event);
void kennel_test_when(const char *file, int line, kennel_test_event event);
void kennel_test_setting(const char *key, const char *value);
void kennel_test_handled(const char *file, int line);
void kennel_test_out_of_scope(const char *file, int line);
void kennel_test_rejects(const char *file, int line, const char *text);
void kennel_test_retries(const char *file, int line, const char *text);
void kennel_test_traps(const char *file, int line, const char *text);
void kennel_test_document(const char *file, int line, const char *collection, const char *key, const char *json);
void kennel_test_no_document(const char *file, int line, const char *collection, const char *key);
void kennel_test_collection(const char *file, int line, const char *collection, const char *json);
void kennel_test_logs(const char *file, int line, kennel_level level, const char *text);
void kennel_test_expect(const char *file, int line, bool holds, const char *condition);

#ifdef __cplusplus
}
#endif

#endif
