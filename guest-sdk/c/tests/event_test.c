/* Events, times, failures, log and settings. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk_test.h"

static void describe(const kennel_event *event) {
    kennel_text document = kennel_format(
        "[%llu,\"%s\",\"%s\",\"%s\",%llu,\"%s\",%u,\"%s\",%s,%s,%lld]", (unsigned long long)event->position,
        event->bounded_context.data, event->aggregate_type.data, event->aggregate_id.data,
        (unsigned long long)event->aggregate_version, event->event_id.data, (unsigned)event->event_version,
        event->payload.data, event->metadata.data == NULL ? "null" : event->metadata.data,
        event->trace_id.data == NULL ? "null" : event->trace_id.data, (long long)event->created_at.seconds);
    kennel_put_text("d", kennel_text_of("1"), document);
}

static void what_a_test_does_not_say_is_filled_in(void) {
    WHEN_RUN(describe, .aggregate_id = "2", .position = 10);
    WHEN_RUN(describe, .metadata = "{\"by\":\"me\"}");
    KENNEL_THEN_DOCUMENT("d", "1",
                         "[11,\"Here\",\"Thing\",\"1\",1,\"00000000-0000-4000-8000-00000000000b\",1,\"{}\","
                         "{\"by\":\"me\"},null,1767225610]");
    WHEN_RUN(describe, .trace_id = "7", .event_version = 4294967295u, .position = UINT64_MAX);
    KENNEL_THEN_DOCUMENT(
        "d", "1",
        "[18446744073709551615,\"Here\",\"Thing\",\"1\",2,\"00000000-0000-4000-8000-ffffffffffffffff\","
        "4294967295,\"{}\",null,7,9223372036854775807]");
}

static void write_times(const kennel_event *event) {
    struct timespec time = kennel_timespec(event->created_at);
    kennel_text document =
        kennel_format("[\"%s\",%lld,%lld,%ld]", kennel_rfc3339(event->created_at).data,
                      (long long)kennel_unix_milliseconds(event->created_at), (long long)time.tv_sec, time.tv_nsec);
    kennel_put_text("d", kennel_text_of("1"), document);
}

static void times_are_exact(void) {
    static const struct {
        kennel_timestamp time;
        const char *expected;
    } cases[] = {
        {{0, 0}, "[\"1970-01-01T00:00:00Z\",0,0,0]"},
        {{1767225600, 1}, "[\"2026-01-01T00:00:00.000000001Z\",1767225600000,1767225600,1]"},
        {{-1, 999999999}, "[\"1969-12-31T23:59:59.999999999Z\",-1,-1,999999999]"},
        {{951782400, 0}, "[\"2000-02-29T00:00:00Z\",951782400000,951782400,0]"},
        {{4107542399, 0}, "[\"2100-02-28T23:59:59Z\",4107542399000,4107542399,0]"},
        {{-62167219200, 0}, "[\"0000-01-01T00:00:00Z\",-62167219200000,-62167219200,0]"},
        {{253402300799, 0}, "[\"9999-12-31T23:59:59Z\",253402300799000,253402300799,0]"},
        {{253402300800, 0}, "[\"+10000-01-01T00:00:00Z\",253402300800000,253402300800,0]"},
        {{-62167219201, 0}, "[\"-0001-12-31T23:59:59Z\",-62167219201000,-62167219201,0]"},
        {{1772357400, 250000000}, "[\"2026-03-01T09:30:00.250Z\",1772357400250,1772357400,250000000]"},
        {{1772357400, 120000}, "[\"2026-03-01T09:30:00.000120Z\",1772357400000,1772357400,120000]"},
        {{INT64_MIN, 0}, "[\"-292277022657-01-27T08:29:52Z\",-9223372036854775808,-9223372036854775808,0]"},
        {{INT64_MAX, 999999999},
         "[\"+292277026596-12-04T15:30:07.999999999Z\",9223372036854775807,9223372036854775807,999999999]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WHEN_RUN(write_times, .created_at = &cases[i].time);
        KENNEL_THEN_DOCUMENT("d", "1", cases[i].expected);
    }
}

static void write_milliseconds(const kennel_event *event) {
    kennel_put_text("d", kennel_text_of("1"),
                    kennel_format("%lld", (long long)kennel_unix_milliseconds(event->created_at)));
}

static void milliseconds_end_at_the_ends_of_the_range(void) {
    const kennel_timestamp first = {INT64_MIN, 0}, last = {INT64_MAX, 999999999};
    WHEN_RUN(write_milliseconds, .created_at = &first);
    KENNEL_THEN_DOCUMENT("d", "1", "-9223372036854775808");
    WHEN_RUN(write_milliseconds, .created_at = &last);
    KENNEL_THEN_DOCUMENT("d", "1", "9223372036854775807");
}

static void fail_an_assertion(const kennel_event *event) {
    assert(event->position > 1000);
}

static void call_abort(const kennel_event *event) {
    (void)event;
    abort();
}

static void reject_at_length(const kennel_event *event) {
    (void)event;
    char *text = (char *)kennel_alloc(5001);
    for (size_t i = 0; i < 5000; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    kennel_reject("x%s", text);
}

static void reject_bytes(const kennel_event *event) {
    (void)event;
    kennel_reject("%s", "a\xff\xc3\xa9\xc3");
}

static void every_failure_arrives_with_its_text(void) {
    WHEN_RUN(fail_an_assertion, .json = NULL);
    KENNEL_THEN_REJECTS("assertion failed: event->position > 1000 (");
    KENNEL_THEN_REJECTS("event_test.c:");
    WHEN_RUN(call_abort, .json = NULL);
    KENNEL_THEN_REJECTS("abort was called");
    WHEN_RUN(reject_at_length, .json = NULL);
    KENNEL_THEN_REJECTS("x\xc3\xa9");
    WHEN_RUN(reject_bytes, .json = NULL);
    KENNEL_THEN_REJECTS("a?\xc3\xa9?");
}

static void configured(const kennel_event *event) {
    kennel_text limit = kennel_config("limit");
    kennel_log(KENNEL_WARN, "limit %s", limit.data == NULL ? "none" : limit.data);
    kennel_put_text("d", event->aggregate_id, kennel_format("%lld", (long long)kennel_config_integer("limit", -1)));
}

static void settings_and_log_lines_are_seen(void) {
    WHEN_RUN(configured, .json = NULL);
    KENNEL_THEN_DOCUMENT("d", "1", "-1");
    KENNEL_THEN_LOGS(KENNEL_WARN, "limit none");
    KENNEL_SETTING("limit", "9223372036854775807");
    WHEN_RUN(configured, .json = NULL);
    KENNEL_THEN_DOCUMENT("d", "1", "9223372036854775807");
    KENNEL_SETTING("limit", "12 apples");
    WHEN_RUN(configured, .json = NULL);
    KENNEL_THEN_REJECTS("the setting limit = \"12 apples\" is not a whole number");
}

static void events_out_of_scope_do_not_arrive(void) {
    WHEN_RUN(call_abort, .bounded_context = "Elsewhere");
    KENNEL_THEN_OUT_OF_SCOPE();
    WHEN_RUN(call_abort, .aggregate_type = "Nothing");
    KENNEL_THEN_OUT_OF_SCOPE();
    WHEN_RUN(configured, .bounded_context = "There");
    KENNEL_THEN_HANDLED();
}

const kennel_test event_tests[] = {
    KENNEL_TEST(what_a_test_does_not_say_is_filled_in),     KENNEL_TEST(times_are_exact),
    KENNEL_TEST(milliseconds_end_at_the_ends_of_the_range), KENNEL_TEST(every_failure_arrives_with_its_text),
    KENNEL_TEST(settings_and_log_lines_are_seen),           KENNEL_TEST(events_out_of_scope_do_not_arrive),
};
const size_t event_test_count = sizeof event_tests / sizeof event_tests[0];
