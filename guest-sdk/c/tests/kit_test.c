/* The test kit itself: a check that does not hold fails its test. */
#include <stdio.h>
#include <string.h>

#include "../src/testing/memory.h"
#include "sdk_test.h"

static void reject_all(const kennel_event *event) {
    kennel_reject("unknown command %s", event->event_type.data);
}

static void do_nothing(const kennel_event *event) {
    (void)event;
}

static void unexpected_failure(void) {
    WHEN_RUN(reject_all, .json = NULL);
    KENNEL_THEN_NO_DOCUMENT("d", "1");
}

static void failure_at_the_end(void) {
    WHEN_RUN(reject_all, .json = NULL);
}

static void missing_failure(void) {
    WHEN_RUN(do_nothing, .json = NULL);
    KENNEL_THEN_REJECTS("");
}

static void missing_document(void) {
    WHEN_RUN(do_nothing, .json = NULL);
    KENNEL_THEN_DOCUMENT("d", "1", "{}");
}

static void wrong_payload(void) {
    WHEN_RUN(do_nothing, .json = "{");
}

/* Tests within tests begin anew, so what fails is a test of its own. */
static int check(const kennel_test *test, const char *expected) {
    const char *found = kennel_test_complaint(test->run);
    bool holds = found != NULL && strstr(found, expected) != NULL;
    if (!holds) {
        printf("# %s: %s\n", test->name, found == NULL ? "passes" : found);
    }
    return holds ? 0 : 1;
}

static void a_descriptor_keeps_the_rules_of_the_contract(void) {
    static const kennel_column good[] = {{"net", "prices.\"net.eur\"", KENNEL_COLUMN_DECIMAL},
                                         {"raw",
                                          "\"gr\xc3\xb6\xc3\x9f"
                                          "e\"",
                                          KENNEL_COLUMN_JSON},
                                         {0}};
    static const kennel_column reserved[] = {{"oid", "a", KENNEL_COLUMN_TEXT}, {0}};
    static const kennel_column upper[] = {{"Net", "a", KENNEL_COLUMN_TEXT}, {0}};
    static const kennel_column bad_path[] = {{"net", "a..b", KENNEL_COLUMN_TEXT}, {0}};
    static const kennel_column twice[] = {{"a", "a", KENNEL_COLUMN_TEXT}, {"a", "b", KENNEL_COLUMN_TEXT}, {0}};
    const kennel_index of_net[] = {{KENNEL_NAMES("net"), true}, {0}};
    const kennel_index of_raw[] = {{KENNEL_NAMES("raw"), false}, {0}};
    const kennel_index of_none[] = {{KENNEL_NAMES("gross"), false}, {0}};
    const kennel_index same[] = {{KENNEL_NAMES("net"), true}, {KENNEL_NAMES("net"), false}, {0}};
    const struct {
        kennel_collection collection;
        const char *fault;
    } cases[] = {
        {{"c", good, of_net}, NULL},
        {{"c", good, NULL}, NULL},
        {{"c", reserved, NULL}, "cannot be called \"oid\""},
        {{"c", upper, NULL}, "cannot be called \"Net\""},
        {{"c", bad_path, NULL}, "no valid path for column net"},
        {{"c", twice, NULL}, "two columns a"},
        {{"c", good, of_raw}, "which has no order"},
        {{"c", good, of_none}, "which is not declared"},
        {{"c", good, same}, "two indexes of the same columns"},
        {{"", good, NULL}, "1 to 200 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const kennel_collection collections[] = {cases[i].collection, {0}};
        const kennel_descriptor descriptor = {.name = "n", .version = "1", .collections = collections};
        const char *found = kit_descriptor_fault(&descriptor);
        KENNEL_EXPECT((found == NULL) == (cases[i].fault == NULL));
        KENNEL_EXPECT(found == NULL || strstr(found, cases[i].fault) != NULL);
    }
    const kennel_descriptor control = {.name = "n", .version = "1", .event_types = KENNEL_NAMES("a\nb")};
    KENNEL_EXPECT(strstr(kit_descriptor_fault(&control), "in event_types: use 1 to 200 bytes") != NULL);
    const kennel_descriptor nameless = {.version = "1"};
    KENNEL_EXPECT(strstr(kit_descriptor_fault(&nameless), "needs a name") != NULL);
}

const kennel_test kit_tests[] = {KENNEL_TEST(a_descriptor_keeps_the_rules_of_the_contract)};
const size_t kit_test_count = sizeof kit_tests / sizeof kit_tests[0];

int check_complaints(void) {
    static const struct {
        kennel_test test;
        const char *complaint;
    } cases[] = {
        {KENNEL_TEST(unexpected_failure), "was expected to be handled, but it was rejected: unknown command Run"},
        {KENNEL_TEST(failure_at_the_end), "was expected to be handled, but it was rejected: unknown command Run"},
        {KENNEL_TEST(missing_failure), "was expected to be rejected with \"\", but it was handled"},
        {KENNEL_TEST(missing_document), "there is no document d/1"},
        {KENNEL_TEST(wrong_payload), "its payload is not JSON"},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        failed += check(&cases[i].test, cases[i].complaint);
    }
    return failed;
}
