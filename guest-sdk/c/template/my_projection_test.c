/* Native tests, without wasm and without a host. */
#include <kennel/testing.h>

static void an_order_counts_its_items(void) {
    KENNEL_GIVEN("OrderPlaced", .aggregate_id = "order-1", .json = "{\"customer\":\"ada\"}");
    KENNEL_WHEN("ItemAdded", .aggregate_id = "order-1", .json = "{\"quantity\":2}");
    KENNEL_THEN_DOCUMENT("orders", "order-1", "{\"customer\":\"ada\",\"items\":2}");
    KENNEL_THEN_DOCUMENT("customers", "ada", "{\"orders\":1}");
}

static void an_item_of_an_unknown_order_is_rejected(void) {
    KENNEL_WHEN("ItemAdded", .aggregate_id = "order-9", .json = "{\"quantity\":1}");
    KENNEL_THEN_REJECTS("order order-9 has not been placed");
}

int main(void) {
    static const kennel_test tests[] = {
        KENNEL_TEST(an_order_counts_its_items),
        KENNEL_TEST(an_item_of_an_unknown_order_is_rejected),
    };
    return kennel_run_tests(tests, sizeof tests / sizeof tests[0]);
}
