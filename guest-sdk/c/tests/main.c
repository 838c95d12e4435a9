#include <stdio.h>
#include <string.h>

#include "sdk_test.h"

static const kennel_descriptor descriptor = {
    .name = "under-test",
    .version = "1",
    .bounded_contexts = KENNEL_NAMES("Here", "There"),
    .aggregate_types = KENNEL_NAMES("Thing"),
};

handler *handler_under_test;

const kennel_descriptor *kennel_describe(void) {
    return &descriptor;
}

void kennel_handle(const kennel_event *event) {
    handler_under_test(event);
}

int main(void) {
    kennel_test tests[200];
    size_t count = 0;
    const kennel_test *const groups[] = {json_tests, model_tests, event_tests, kit_tests, contract_tests};
    const size_t counts[] = {json_test_count, model_test_count, event_test_count, kit_test_count,
                             contract_test_count};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        memcpy(tests + count, groups[i], counts[i] * sizeof *tests);
        count += counts[i];
    }
    int failed = check_complaints();
    return kennel_run_tests(tests, count) + failed;
}
