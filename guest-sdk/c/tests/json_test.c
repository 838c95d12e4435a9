/* JSON: reading, writing, structs; numbers stay exact. */
#include <string.h>

#include "sdk_test.h"

typedef struct address {
    kennel_text city;
} address;

KENNEL_SHAPE(address, KENNEL_TEXT(address, city));

typedef struct everything {
    kennel_text text;
    int64_t integer;
    uint64_t natural;
    double number;
    bool flag;
    kennel_json amount;
    address home;
    kennel_text nickname;
    int64_t age;
    kennel_json extra;
} everything;

KENNEL_SHAPE(everything, KENNEL_TEXT(everything, text), KENNEL_INTEGER(everything, integer),
             KENNEL_UNSIGNED(everything, natural), KENNEL_NUMBER(everything, number), KENNEL_BOOLEAN(everything, flag),
             KENNEL_JSON(everything, amount), KENNEL_OBJECT(everything, home, address),
             KENNEL_OPTIONAL_TEXT(everything, nickname), KENNEL_OPTIONAL_INTEGER(everything, age),
             KENNEL_OPTIONAL_JSON(everything, extra));

static const char full[] = "{\"text\":\"\\\"\\u00e9\\ud83d\\ude00\\n\\u0001\",\"integer\":-9223372036854775808,"
                           "\"natural\":18446744073709551615,\"number\":0.1,\"flag\":true,"
                           "\"amount\":12345678901234567890.10,\"home\":{\"city\":\"K\\u00f6ln\"},"
                           "\"nickname\":\"N\",\"age\":3,\"extra\":[1,{\"a\":null}]}";

static void copy_payload(const kennel_event *event) {
    everything value;
    kennel_payload(event, &everything_shape, &value);
    kennel_put("d", event->aggregate_id, &everything_shape, &value);
}

static void a_struct_is_read_and_written_exactly(void) {
    WHEN_RUN(copy_payload, .json = full);
    KENNEL_THEN_HANDLED();
    KENNEL_EXPECT(strcmp(kennel_test_text("d", "1"),
                         "{\"text\":\"\\\"\xc3\xa9\xf0\x9f\x98\x80\\n\\u0001\",\"integer\":-9223372036854775808,"
                         "\"natural\":18446744073709551615,\"number\":0.1,\"flag\":true,"
                         "\"amount\":12345678901234567890.10,\"home\":{\"city\":\"K\xc3\xb6ln\"},"
                         "\"nickname\":\"N\",\"age\":3,\"extra\":[1,{\"a\":null}]}") == 0);
}

static void optional_fields_may_be_missing_or_null(void) {
    WHEN_RUN(copy_payload, .json = "{\"home\":{\"city\":\"\",\"zip\":1},\"amount\":1,\"flag\":false,\"number\":1e300,"
                                   "\"natural\":0,\"integer\":1,\"text\":\"\",\"nickname\":null,\"unknown\":{}}");
    KENNEL_THEN_DOCUMENT("d", "1",
                         "{\"text\":\"\",\"integer\":1,\"natural\":0,\"number\":1e300,\"flag\":false,\"amount\":1,"
                         "\"home\":{\"city\":\"\"},\"nickname\":null,\"age\":0,\"extra\":null}");
}

typedef struct one {
    int64_t a;
    address b;
} one;

KENNEL_SHAPE(one, KENNEL_INTEGER(one, a), KENNEL_OPTIONAL_OBJECT(one, b, address));

static void read_one(const kennel_event *event) {
    one value;
    kennel_payload(event, &one_shape, &value);
}

static void a_payload_that_does_not_fit_is_rejected_with_a_reason(void) {
    static const char *const cases[][2] = {
        {"{\"a\":9223372036854775808}", "a: a whole number that fits 64 bits is expected, found number 92233720368547"},
        {"{\"a\":1.0}", "a: a whole number that fits 64 bits is expected, found number 1.0"},
        {"{\"a\":\"1\"}", "a: a whole number that fits 64 bits is expected, found string \"1\""},
        {"{\"a\":null}", "found null"},
        {"{}", "a is missing"},
        {"{\"a\":1,\"b\":{}}", "b.city is missing"},
        {"{\"a\":1,\"b\":{\"city\":true}}", "b.city: a string is expected, found true"},
        {"{\"a\":1,\"b\":{\"city\":\"\\ud800\"}}", "text without halves of surrogate pairs"},
        {"{\"a\":1,\"\\u0061\":2}", "a is there twice"},
        {"[1]", "the value: an object is expected, found an array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WHEN_RUN(read_one, .json = cases[i][0], .event_version = 3);
        KENNEL_THEN_REJECTS("the payload of Run (version 3) cannot be read: ");
        KENNEL_THEN_REJECTS(cases[i][1]);
    }
    WHEN_RUN(read_one, .binary = "\xff\xfe", .binary_bytes = 2);
    KENNEL_THEN_REJECTS("it is 2 bytes that are not JSON");
}

typedef struct line {
    kennel_text sku;
    int64_t quantity;
    KENNEL_LIST(kennel_text) tags;
} line;

KENNEL_SHAPE(line, KENNEL_TEXT(line, sku), KENNEL_INTEGER(line, quantity), KENNEL_OPTIONAL_TEXTS(line, tags));

typedef struct invoice {
    KENNEL_LIST(line) lines;
    KENNEL_LIST(int64_t) amounts;
} invoice;

KENNEL_SHAPE(invoice, KENNEL_OBJECTS(invoice, lines, line), KENNEL_INTEGERS(invoice, amounts));

static void copy_invoice(const kennel_event *event) {
    invoice value;
    kennel_payload(event, &invoice_shape, &value);
    for (size_t i = 0; i < value.lines.count; i++) {
        value.lines.items[i].quantity *= 2;
    }
    kennel_put("d", event->aggregate_id, &invoice_shape, &value);
}

static void lists_are_read_and_written(void) {
    WHEN_RUN(copy_invoice, .json = "{\"lines\":[],\"amounts\":[ ]}");
    KENNEL_THEN_DOCUMENT("d", "1", "{\"lines\":[],\"amounts\":[]}");
    WHEN_RUN(copy_invoice, .json = "{\"amounts\":[1,2,3,4,5,6,7,8,9223372036854775807, 10],\"lines\":[{\"quantity\":1,"
                                   "\"sku\":\"a\",\"tags\":[\"x\",\"\"]},{\"sku\":\"b\",\"quantity\":2,\"tags\":[]},"
                                   "{\"sku\":\"c\",\"quantity\":3}]}");
    KENNEL_THEN_HANDLED();
    KENNEL_EXPECT(strcmp(kennel_test_text("d", "1"),
                         "{\"lines\":[{\"sku\":\"a\",\"quantity\":2,\"tags\":[\"x\",\"\"]},{\"sku\":\"b\","
                         "\"quantity\":4,\"tags\":[]},{\"sku\":\"c\",\"quantity\":6,\"tags\":null}],"
                         "\"amounts\":[1,2,3,4,5,6,7,8,9223372036854775807,10]}") == 0);
    static const char *const wrong[][2] = {
        {"{\"lines\":{},\"amounts\":[]}", "lines: an array is expected, found an object"},
        {"{\"lines\":null,\"amounts\":[]}", "lines: an array is expected, found null"},
        {"{\"lines\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"b\",\"quantity\":\"2\"}],\"amounts\":[]}",
         "lines[1].quantity: a whole number that fits 64 bits is expected, found string \"2\""},
        {"{\"lines\":[{\"sku\":\"a\"}],\"amounts\":[]}", "lines[0].quantity is missing"},
        {"{\"lines\":[],\"amounts\":[1,null]}", "amounts[1]: a whole number that fits 64 bits is expected, found null"},
        {"{\"lines\":[]}", "amounts is missing"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        WHEN_RUN(copy_invoice, .json = wrong[i][0]);
        KENNEL_THEN_REJECTS(wrong[i][1]);
    }
}

/* An optional list may be null, its elements not: what was written could not be read again. */
static void put_texts_of_none(const kennel_event *event) {
    kennel_text tags[] = {{NULL, 0}, kennel_text_of("x")};
    line value = {.sku = kennel_text_of("a"), .tags = {tags, 2}};
    kennel_put("d", event->aggregate_id, &line_shape, &value);
    kennel_require("d", event->aggregate_id, &line_shape, &value);
}

static void a_text_of_none_in_a_list_is_empty(void) {
    WHEN_RUN(put_texts_of_none, .json = NULL);
    KENNEL_THEN_DOCUMENT("d", "1", "{\"sku\":\"a\",\"quantity\":0,\"tags\":[\"\",\"x\"]}");
}

static void copy_json(const kennel_event *event) {
    kennel_json found = kennel_get_json("d", event->aggregate_id);
    kennel_put_json("d", kennel_text_of("copy"), found);
}

static void json_of_any_form_is_kept_as_it_is(void) {
    WHEN_RUN(copy_json, .json = NULL);
    KENNEL_THEN_REJECTS("document d/copy cannot be written: it is none");
    WHEN_RUN(copy_payload, .json = full);
    WHEN_RUN(copy_json, .json = NULL);
    KENNEL_THEN_HANDLED();
    KENNEL_EXPECT(strcmp(kennel_test_text("d", "1"), kennel_test_text("d", "copy")) == 0);
}

static void parse_metadata(const kennel_event *event) {
    kennel_json_parse(event->metadata);
}

/* The same inside of a struct, where the shape does not say what it is. */
static void decode_around_metadata(const kennel_event *event) {
    one value;
    kennel_decode(kennel_format("{\"a\":1,\"other\":%s}", event->metadata.data), &one_shape, &value);
}

static void text_that_is_no_json_is_rejected(void) {
    static const char *const wrong[] = {
        "",    "{",          "[1,]", "{\"a\"}",   "{\"a\":}", "{a:1}",       "01",      "1.",     "1e",
        "-",   "+1",         "nul",  "tru",       "\"",       "\"\\x\"",     "\"\\u12", "\"\t\"", "1 2",
        "[1}", "{\"a\":1,}", "[",    "{\"a\" 1}", "]",        "\"\\u00g0\"", ",",       "[1 2]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        WHEN_RUN(parse_metadata, .metadata = wrong[i]);
        KENNEL_THEN_REJECTS("the text is not JSON: ");
        WHEN_RUN(decode_around_metadata, .metadata = wrong[i]);
        KENNEL_THEN_REJECTS("the text does not fit one: ");
    }
    static const char *const right[] = {" {} ", "[ ]", "[1 , -0.5e+10]", "{ \"a\" : [ { } ] }", "\"\\u0000\"", "null"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        WHEN_RUN(parse_metadata, .metadata = right[i]);
        KENNEL_THEN_HANDLED();
        WHEN_RUN(decode_around_metadata, .metadata = right[i]);
        KENNEL_THEN_HANDLED();
    }
}

static void parse_deep(const kennel_event *event) {
    size_t depth = (size_t)kennel_json_integer(kennel_payload_json(event));
    char *text = (char *)kennel_alloc(2 * depth + 1);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    kennel_json_parse((kennel_text){text, 2 * depth});
}

static void json_nests_as_deep_as_documents_do(void) {
    WHEN_RUN(parse_deep, .json = "1000");
    KENNEL_THEN_HANDLED();
    WHEN_RUN(parse_deep, .json = "1001");
    KENNEL_THEN_REJECTS("more than 1000 levels deep");
}

static void walk_payload(const kennel_event *event) {
    kennel_writer writer = {0};
    kennel_write_array(&writer);
    for (kennel_json_walk walk = kennel_json_begin(kennel_payload_json(event)); kennel_json_next(&walk);) {
        kennel_write_array(&writer);
        kennel_write_text(&writer, walk.name);
        kennel_write_integer(&writer, (int64_t)kennel_json_kind_of(walk.value));
        kennel_write_array_end(&writer);
    }
    kennel_write_array_end(&writer);
    kennel_put_text("d", kennel_text_of("walk"), kennel_written(&writer));
}

static void values_are_walked_through(void) {
    WHEN_RUN(walk_payload, .json = " { \"a\" : null , \"b\":true,\"c\":1.5,\"d\":\"x\",\"e\":[ ],\"\\u0066\":{} } ");
    KENNEL_THEN_DOCUMENT("d", "walk", "[[\"a\",1],[\"b\",2],[\"c\",3],[\"d\",4],[\"e\",5],[\"f\",6]]");
    WHEN_RUN(walk_payload, .json = "[1,[2,3]]");
    KENNEL_THEN_DOCUMENT("d", "walk", "[[\"\",3],[\"\",5]]");
    WHEN_RUN(walk_payload, .json = "7");
    KENNEL_THEN_REJECTS("an object or an array is expected, found number 7");
}

static void write_numbers(const kennel_event *event) {
    (void)event;
    static const double numbers[] = {0.0, 1.0, -1.5, 0.1, 1e16, 123456789.125, 5e-324, 1.7976931348623157e308, 1.0 / 3};
    kennel_writer writer = {0};
    kennel_write_array(&writer);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        kennel_write_number(&writer, numbers[i]);
    }
    kennel_write_integer(&writer, INT64_MIN);
    kennel_write_integer(&writer, -1);
    kennel_write_unsigned(&writer, UINT64_MAX);
    kennel_write_array_end(&writer);
    kennel_text text = kennel_written(&writer);
    kennel_json_walk walk = kennel_json_begin(kennel_json_parse(text));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && kennel_json_next(&walk); i++) {
        if (kennel_json_number(walk.value) != numbers[i]) {
            kennel_reject("number %zu is not the same", i);
        }
    }
    kennel_put_text("d", kennel_text_of("numbers"), text);
}

static void numbers_are_written_exactly(void) {
    WHEN_RUN(write_numbers, .json = NULL);
    KENNEL_THEN_HANDLED();
    KENNEL_EXPECT(strcmp(kennel_test_text("d", "numbers"),
                         "[0.0,1.0,-1.5,0.1,1e+16,123456789.125,5e-324,1.7976931348623157e+308,0.3333333333333333,"
                         "-9223372036854775808,-1,18446744073709551615]") == 0);
}

static void write_infinity(const kennel_event *event) {
    kennel_writer writer = {0};
    kennel_write_number(&writer, 1e308 * (double)(10 * event->event_version));
}

static void write_no_utf8(const kennel_event *event) {
    (void)event;
    kennel_writer writer = {0};
    kennel_write_text(&writer, kennel_text_of("\xc0\x80"));
}

static void what_has_no_json_form_is_rejected(void) {
    WHEN_RUN(write_infinity, .json = NULL);
    KENNEL_THEN_REJECTS("infinite");
    WHEN_RUN(write_no_utf8, .json = NULL);
    KENNEL_THEN_REJECTS("a text of 2 bytes is not UTF-8");
}

const kennel_test json_tests[] = {
    KENNEL_TEST(a_struct_is_read_and_written_exactly),
    KENNEL_TEST(optional_fields_may_be_missing_or_null),
    KENNEL_TEST(a_payload_that_does_not_fit_is_rejected_with_a_reason),
    KENNEL_TEST(lists_are_read_and_written),
    KENNEL_TEST(a_text_of_none_in_a_list_is_empty),
    KENNEL_TEST(json_of_any_form_is_kept_as_it_is),
    KENNEL_TEST(text_that_is_no_json_is_rejected),
    KENNEL_TEST(json_nests_as_deep_as_documents_do),
    KENNEL_TEST(values_are_walked_through),
    KENNEL_TEST(numbers_are_written_exactly),
    KENNEL_TEST(what_has_no_json_form_is_rejected),
};
const size_t json_test_count = sizeof json_tests / sizeof json_tests[0];
