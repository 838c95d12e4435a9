/* The tests of the projection: `test.sh order_summary.c order_summary_test.c`. */
#include <inttypes.h>
#include <stdio.h>

#include <kennel/testing.h>

#define PLACED "OrderPlaced", .aggregate_id = "o-1", .json = "{\"customer\":\"c-1\",\"currency\":\"EUR\"}"

static const char *item(int64_t quantity, int64_t unit_price_cents) {
    static char json[128];
    snprintf(json, sizeof json, "{\"sku\":\"sku-1\",\"quantity\":%" PRId64 ",\"unit_price_cents\":%" PRId64 "}",
             quantity, unit_price_cents);
    return json;
}

static const char *order(const char *status, int64_t items, int64_t total_cents) {
    static char json[128];
    snprintf(json, sizeof json,
             "{\"customer\":\"c-1\",\"status\":\"%s\",\"items\":%" PRId64 ",\"total_cents\":%" PRId64 "}", status,
             items, total_cents);
    return json;
}

static void given_an_order_of(int64_t quantity, int64_t unit_price_cents) {
    KENNEL_GIVEN(PLACED);
    KENNEL_GIVEN("ItemAdded", .aggregate_id = "o-1", .json = item(quantity, unit_price_cents));
}

static void an_order_grows_and_is_paid_and_shipped(void) {
    KENNEL_WHEN(PLACED);
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("placed", 0, 0));
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":0}");
    KENNEL_WHEN("ItemAdded", .aggregate_id = "o-1", .json = item(2, 1250));
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("placed", 2, 2500));
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":0}");
    KENNEL_WHEN("OrderPaid", .aggregate_id = "o-1");
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("paid", 2, 2500));
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":2500}");
    KENNEL_WHEN("OrderShipped", .aggregate_id = "o-1");
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("shipped", 2, 2500));
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":2500}");
}

static void money_comes_back_once_it_was_paid(void) {
    given_an_order_of(1, 100);
    KENNEL_GIVEN("OrderPaid", .aggregate_id = "o-1");
    KENNEL_GIVEN("ItemAdded", .aggregate_id = "o-1", .json = item(1, 50));
    KENNEL_WHEN("OrderCancelled", .aggregate_id = "o-1");
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":0}");
}

static void no_money_comes_back_that_was_not_paid(void) {
    given_an_order_of(1, 100);
    KENNEL_WHEN("OrderCancelled", .aggregate_id = "o-1");
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("cancelled", 1, 100));
    KENNEL_THEN_DOCUMENT("customers", "c-1", "{\"orders\":1,\"spent_cents\":0}");
}

static void customers_add_up_over_their_orders(void) {
    given_an_order_of(1, 100);
    KENNEL_GIVEN("OrderPaid", .aggregate_id = "o-1");
    KENNEL_GIVEN("OrderPlaced", .aggregate_id = "o-2", .json = "{\"customer\":\"c-1\"}");
    KENNEL_GIVEN("OrderPlaced", .aggregate_id = "o-3", .json = "{\"customer\":\"c-2\"}");
    KENNEL_GIVEN("ItemAdded", .aggregate_id = "o-2", .json = item(3, 10));
    KENNEL_WHEN("OrderPaid", .aggregate_id = "o-2");
    KENNEL_THEN_COLLECTION("customers",
                           "{\"c-1\":{\"orders\":2,\"spent_cents\":130},\"c-2\":{\"orders\":1,\"spent_cents\":0}}");
}

static void what_makes_no_sense_is_rejected(void) {
    KENNEL_WHEN("ItemAdded", .aggregate_id = "o-1", .json = item(1, 100));
    KENNEL_THEN_REJECTS("order o-1 has not been placed");
    KENNEL_WHEN("OrderPlaced", .aggregate_id = "o-1", .json = "{\"customer\":17}");
    KENNEL_THEN_REJECTS("the payload of OrderPlaced (version 1) cannot be read: customer: a string is expected, "
                        "found number 17");
    KENNEL_GIVEN(PLACED);
    KENNEL_WHEN("ItemAdded", .aggregate_id = "o-1", .json = item(2, INT64_MAX));
    KENNEL_THEN_REJECTS("worth more than can be counted");
    KENNEL_THEN_DOCUMENT("orders", "o-1", order("placed", 0, 0));
}

static void only_orders_arrive(void) {
    KENNEL_WHEN(PLACED, .aggregate_type = "Offer");
    KENNEL_THEN_OUT_OF_SCOPE();
    KENNEL_WHEN(PLACED, .bounded_context = "Purchasing");
    KENNEL_THEN_OUT_OF_SCOPE();
}

int main(void) {
    static const kennel_test tests[] = {
        KENNEL_TEST(an_order_grows_and_is_paid_and_shipped), KENNEL_TEST(money_comes_back_once_it_was_paid),
        KENNEL_TEST(no_money_comes_back_that_was_not_paid),  KENNEL_TEST(customers_add_up_over_their_orders),
        KENNEL_TEST(what_makes_no_sense_is_rejected),        KENNEL_TEST(only_orders_arrive),
    };
    return kennel_run_tests(tests, sizeof tests / sizeof tests[0]);
}
