/* The read model: what a handler may rely on, and each bound of the contract. */
#include <stdio.h>
#include <string.h>

#include "sdk_test.h"

#define TEXT(literal) kennel_text_of(literal)

typedef struct tally {
    int64_t count;
} tally;

KENNEL_SHAPE(tally, KENNEL_INTEGER(tally, count));

static void put(const kennel_event *event) {
    kennel_put_text("d", event->aggregate_id, event->payload);
}

static void upsert(const kennel_event *event) {
    tally found;
    kennel_get("d", event->aggregate_id, &tally_shape, &found);
    found.count++;
    kennel_put("d", event->aggregate_id, &tally_shape, &found);
}

static void update(const kennel_event *event) {
    tally found;
    kennel_require("d", event->aggregate_id, &tally_shape, &found);
    found.count++;
    kennel_put("d", event->aggregate_id, &tally_shape, &found);
}

static void delete(const kennel_event *event) {
    kennel_delete("d", event->aggregate_id);
}

static void copy(const kennel_event *event) {
    (void)event;
    kennel_rows rows = kennel_scan("d", KENNEL_NONE, TEXT(""), 10);
    kennel_text *keys = (kennel_text *)kennel_alloc((rows.count + 1) * sizeof *keys);
    for (size_t i = 0; i < rows.count; i++) {
        keys[i] = rows.items[i].key;
    }
    keys[rows.count] = TEXT("none");
    tally found[11];
    bool is_there[11];
    kennel_get_many("d", keys, rows.count + 1, &tally_shape, found, is_there);
    kennel_writer writer = {0};
    kennel_write_array(&writer);
    for (size_t i = 0; i <= rows.count; i++) {
        kennel_write_integer(&writer, is_there[i] ? found[i].count : -1);
    }
    kennel_write_array_end(&writer);
    kennel_put_text("copies", TEXT("counts"), kennel_written(&writer));
}

static void documents_are_written_changed_and_removed(void) {
    WHEN_RUN(put, .json = "{\"count\":1}");
    KENNEL_THEN_DOCUMENT("d", "1", "{\"count\":1}");
    WHEN_RUN(update, .json = NULL);
    KENNEL_THEN_DOCUMENT("d", "1", "{\"count\":2}");
    WHEN_RUN(copy, .json = NULL);
    KENNEL_THEN_DOCUMENT("copies", "counts", "[2,-1]");
    WHEN_RUN(delete, .json = NULL);
    KENNEL_THEN_NO_DOCUMENT("d", "1");
    WHEN_RUN(delete, .json = NULL);
    KENNEL_THEN_HANDLED();
    WHEN_RUN(upsert, .json = NULL);
    KENNEL_THEN_COLLECTION("d", "{\"1\":{\"count\":1}}");
}

static void a_document_that_does_not_fit_is_rejected_with_a_reason(void) {
    WHEN_RUN(update, .json = NULL);
    KENNEL_THEN_REJECTS("there is no document d/1");
    WHEN_RUN(put, .json = "\"text\"");
    WHEN_RUN(update, .json = NULL);
    KENNEL_THEN_REJECTS("document d/1 does not fit tally: the value: an object is expected, found string \"text\"");
}

static void list_scans(const kennel_event *event) {
    kennel_json query = kennel_payload_json(event);
    kennel_json after = kennel_json_find(query, "after");
    kennel_rows rows = kennel_scan("d", after.data == NULL ? KENNEL_NONE : kennel_json_text(after),
                                   kennel_json_text(kennel_json_find(query, "prefix")),
                                   (uint32_t)kennel_json_unsigned(kennel_json_find(query, "limit")));
    kennel_writer writer = {0};
    kennel_write_array(&writer);
    for (size_t i = 0; i < rows.count; i++) {
        kennel_write_text(&writer, rows.items[i].key);
    }
    kennel_write_array_end(&writer);
    kennel_put_text("scans", TEXT("last"), kennel_written(&writer));
}

static void a_scan_is_in_the_order_of_bytes(void) {
    static const char *const keys[] = {"b", "a\xc3\xa9", "ab", "aB", "a", "\xf0\x9f\x98\x80", "\xef\xbf\xbd"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        WHEN_RUN(put, .aggregate_id = keys[i], .json = "1");
    }
    static const char *const cases[][2] = {
        {"{\"prefix\":\"\",\"limit\":9}", "[\"a\",\"aB\",\"ab\",\"a\\u00e9\",\"b\",\"\\ufffd\",\"\\ud83d\\ude00\"]"},
        {"{\"prefix\":\"a\",\"limit\":9}", "[\"a\",\"aB\",\"ab\",\"a\\u00e9\"]"},
        {"{\"prefix\":\"a\",\"after\":\"aB\",\"limit\":1}", "[\"ab\"]"},
        {"{\"prefix\":\"b\",\"after\":\"A\",\"limit\":9}", "[\"b\"]"},
        {"{\"prefix\":\"a\",\"after\":\"z\",\"limit\":9}", "[]"},
        {"{\"prefix\":\"\",\"after\":\"\",\"limit\":1}", "[\"a\"]"},
        {"{\"prefix\":\"\",\"limit\":0}", "[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WHEN_RUN(list_scans, .json = cases[i][0]);
        KENNEL_THEN_DOCUMENT("scans", "last", cases[i][1]);
    }
}

static void add(const kennel_event *event) {
    kennel_increment("d", event->aggregate_id, "n", kennel_json_integer(kennel_payload_json(event)));
}

/* Adds to a document, and compares its bytes; `expected` may be the start of a failure instead. */
static void check_increment(const char *before, const char *by, const char *expected) {
    if (before == NULL) {
        WHEN_RUN(delete, .json = NULL);
    } else {
        WHEN_RUN(put, .json = before);
    }
    WHEN_RUN(add, .json = by);
    if (expected[0] == '{') {
        KENNEL_THEN_HANDLED();
        KENNEL_EXPECT(strcmp(kennel_test_text("d", "1"), expected) == 0);
    } else {
        KENNEL_THEN_TRAPS(expected);
    }
}

static void an_increment_keeps_every_other_byte_and_is_exact(void) {
    check_increment(NULL, "0", "{\"n\":0}");
    check_increment("{}", "5", "{\"n\":5}");
    check_increment("{ \"a\" : 1.50 , \"n\" : 2 }", "-7", "{ \"a\" : 1.50 , \"n\" : -5 }");
    check_increment("{\"a\":[1,2]}", "1", "{\"a\":[1,2],\"n\":1}");
    check_increment("{ }", "1", "{\"n\":1 }");
    check_increment("{\"a\":1 }", "1", "{\"a\":1,\"n\":1 }");
    check_increment("{\"n\":null,\"m\":0}", "3", "{\"n\":3,\"m\":0}");
    check_increment("{\"n\":1.0}", "1", "{\"n\":2}");
    check_increment("{\"n\":12e2}", "1", "{\"n\":1201}");
    check_increment("{\"n\":-0}", "1", "{\"n\":1}");
    check_increment("{\"n\":9007199254740993}", "9007199254740993", "{\"n\":18014398509481986}");
    check_increment("{\"n\":9223372036854775806}", "1", "{\"n\":9223372036854775807}");
    check_increment("{\"n\":-1}", "-9223372036854775807", "{\"n\":-9223372036854775808}");
    check_increment("{\"n\":9223372036854775807}", "1", "leaves the range of 64 bits");
    check_increment("{\"n\":9223372036854775808}", "-1", "is not a whole number that fits 64 bits");
    check_increment("{\"n\":1.5}", "1", "is not a whole number that fits 64 bits");
    check_increment("{\"n\":\"1\"}", "1", "is not a whole number that fits 64 bits");
    check_increment("[1]", "1", "is not a field of a JSON object");
}

static kennel_text repeated(char c, size_t count) {
    char *text = (char *)kennel_alloc(count + 1);
    memset(text, c, count);
    return (kennel_text){text, count};
}

static void put_metadata(const kennel_event *event) {
    kennel_put_text("d", TEXT("1"), event->metadata);
}

static void documents_are_what_both_databases_hold(void) {
    static const char *const cases[][2] = {
        {"{", "is not JSON"},
        {"", "is not JSON"},
        {"{\"a\":1,\"b\":2,\"\\u0061\":3}", "an object with a key twice"},
        {"[{\"x\":{\"a\":1,\"a\":1}}]", "an object with a key twice"},
        {"\"\\u0000\"", "the character NUL"},
        {"{\"\\u0000\":1}", "the character NUL"},
        {"[\"\\udc00\"]", "half of a surrogate pair"},
        {"{\"\\ud800\":1}", "half of a surrogate pair"},
        {"\"\xff\"", "is not UTF-8"},
        {"1e131072", "digits before"},
        {"1e-16384", "behind the decimal point"},
        {"[1e131071,1e131071,1e131071,1e131071,1e131071,1e131071,1e131071,1e131071]", "written out"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WHEN_RUN(put_metadata, .metadata = cases[i][0]);
        KENNEL_THEN_TRAPS("invalid-call: document d/1 ");
        KENNEL_THEN_TRAPS(cases[i][1]);
    }
    static const char *const right[] = {"1e131071",        "1e-16383", "0", "[\"\\ud83d\\ude00\"]",
                                        "{\"\":{\"\":0}}", " null "};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        WHEN_RUN(put_metadata, .metadata = right[i]);
        KENNEL_THEN_HANDLED();
    }
}

static void put_of_size(const kennel_event *event) {
    uint64_t size = kennel_json_unsigned(kennel_payload_json(event));
    kennel_text spaces = repeated(' ', (size_t)size - 1);
    kennel_put_text("d", TEXT("1"), kennel_format("1%s", spaces.data));
}

static void put_named(const kennel_event *event) {
    kennel_json sizes = kennel_payload_json(event);
    kennel_text collection = repeated('c', (size_t)kennel_json_unsigned(kennel_json_find(sizes, "collection")));
    kennel_text key = repeated('k', (size_t)kennel_json_unsigned(kennel_json_find(sizes, "key")));
    kennel_put_text(collection.data, key, TEXT("1"));
}

static void get_with_nul(const kennel_event *event) {
    (void)event;
    kennel_get_text("d", (kennel_text){"a\0b", 3});
}

static void get_many_keys(const kennel_event *event) {
    size_t count = (size_t)kennel_json_unsigned(kennel_payload_json(event));
    kennel_text *keys = (kennel_text *)kennel_alloc(count * sizeof *keys);
    for (size_t i = 0; i < count; i++) {
        keys[i] = TEXT("k");
    }
    kennel_get_many_text("d", keys, count);
}

static void touch_collections(const kennel_event *event) {
    uint64_t count = kennel_json_unsigned(kennel_payload_json(event));
    for (uint64_t i = 0; i < count; i++) {
        kennel_delete(kennel_format("c%d", (int)i).data, TEXT("k"));
    }
}

static void put_mebibytes(const kennel_event *event) {
    uint64_t count = kennel_json_unsigned(kennel_payload_json(event));
    kennel_text spaces = repeated(' ', (1 << 20) - 1);
    kennel_text document = kennel_format("1%s", spaces.data);
    for (uint64_t i = 0; i < count; i++) {
        kennel_put_text("big", kennel_format("%d", (int)i), document);
    }
}

static void read_mebibytes(const kennel_event *event) {
    uint64_t count = kennel_json_unsigned(kennel_payload_json(event));
    for (uint64_t i = 0; i < count; i++) {
        kennel_get_text("big", TEXT("0"));
    }
}

static void a_call_that_breaks_a_bound_ends_the_handler(void) {
    WHEN_RUN(put_of_size, .json = "1048576");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(put_of_size, .json = "1048577");
    KENNEL_THEN_TRAPS("has 1048577 bytes, more than 1048576");
    WHEN_RUN(put_named, .json = "{\"collection\":200,\"key\":1024}");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(put_named, .json = "{\"collection\":201,\"key\":1}");
    KENNEL_THEN_TRAPS("is not a valid collection name: use 1 to 200 bytes");
    WHEN_RUN(put_named, .json = "{\"collection\":0,\"key\":1}");
    KENNEL_THEN_TRAPS("is not a valid collection name");
    WHEN_RUN(put_named, .json = "{\"collection\":1,\"key\":1025}");
    KENNEL_THEN_TRAPS("is not a valid document key: use 1 to 1024 bytes");
    WHEN_RUN(get_with_nul, .json = NULL);
    KENNEL_THEN_TRAPS("is not a valid document key");
    WHEN_RUN(get_many_keys, .json = "1000");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(get_many_keys, .json = "1001");
    KENNEL_THEN_TRAPS("get-many of 1001 keys");
    WHEN_RUN(touch_collections, .json = "500");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(touch_collections, .json = "501");
    KENNEL_THEN_TRAPS("touches more than 500 collections");
    WHEN_RUN(put_mebibytes, .json = "31");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(put_mebibytes, .json = "17");
    KENNEL_THEN_TRAPS("memory-limit: what an event changes takes more than 32 MiB");
    WHEN_RUN(read_mebibytes, .json = "65");
    KENNEL_THEN_TRAPS("memory-limit: an event reads more than 64 MiB");
}

static void half_done(const kennel_event *event) {
    kennel_put_text("d", TEXT("1"), TEXT("\"changed\""));
    kennel_delete("d", TEXT("2"));
    kennel_increment("d", TEXT("3"), "count", 1);
    kennel_increment("d", TEXT("3"), "count", 1);
    if (event->event_version == 1) {
        kennel_retry("later %d", 7);
    }
    kennel_put_text("d", TEXT("1"), TEXT("no json"));
}

static void a_failed_event_leaves_no_trace(void) {
    WHEN_RUN(put, .json = "\"kept\"");
    WHEN_RUN(put, .aggregate_id = "2", .json = "2");
    WHEN_RUN(half_done, .json = NULL);
    KENNEL_THEN_RETRIES("later 7");
    KENNEL_THEN_COLLECTION("d", "{\"1\":\"kept\",\"2\":2}");
    WHEN_RUN(half_done, .event_version = 2);
    KENNEL_THEN_TRAPS("document d/1 is not JSON");
    KENNEL_THEN_COLLECTION("d", "{\"2\":2,\"1\":\"kept\"}");
}

const kennel_test model_tests[] = {
    KENNEL_TEST(documents_are_written_changed_and_removed),
    KENNEL_TEST(a_document_that_does_not_fit_is_rejected_with_a_reason),
    KENNEL_TEST(a_scan_is_in_the_order_of_bytes),
    KENNEL_TEST(an_increment_keeps_every_other_byte_and_is_exact),
    KENNEL_TEST(documents_are_what_both_databases_hold),
    KENNEL_TEST(a_call_that_breaks_a_bound_ends_the_handler),
    KENNEL_TEST(a_failed_event_leaves_no_trace),
};
const size_t model_test_count = sizeof model_tests / sizeof model_tests[0];
