/* The tests of the SDK: each runs functions as the handler of one projection. */
#ifndef SDK_TEST_H
#define SDK_TEST_H

#include <kennel/testing.h>

typedef void handler(const kennel_event *event);

/* What the projection of these tests does with the next event of type `Run`. */
extern handler *handler_under_test;

/* Handles an event by a function. */
#define WHEN_RUN(function, ...)                                                                                        \
    do {                                                                                                               \
        handler_under_test = function;                                                                                 \
        KENNEL_WHEN("Run", __VA_ARGS__);                                                                               \
    } while (0)

extern const kennel_test json_tests[], model_tests[], event_tests[], kit_tests[], contract_tests[];
extern const size_t json_test_count, model_test_count, event_test_count, kit_test_count, contract_test_count;

/* Runs tests that fail on purpose. Gives how many did not complain as they should. */
int check_complaints(void);

#endif
