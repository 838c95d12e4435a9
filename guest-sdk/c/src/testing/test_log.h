/* Makes events whole: counts positions and versions as a log does. */
#ifndef KENNEL_TESTING_TEST_LOG_H
#define KENNEL_TESTING_TEST_LOG_H

#include "kennel/testing.h"

/* Makes the next event of the log. Gives why it cannot be one, or NULL. */
const char *kit_log_append(const kennel_test_event *given, const kennel_descriptor *descriptor, kennel_event *event);

void kit_log_clear(void);

#endif
