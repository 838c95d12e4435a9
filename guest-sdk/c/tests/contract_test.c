/* The bounds of the SDK are those of the contract. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/bounds.h"
#include "sdk_test.h"

/* A number of the contract: the words before it and the number. A bound that stands there twice is the same. */
static const struct {
    const char *before;
    size_t bound;
} bounds[] = {
    {"Of the reason, for people, ", KENNEL_REASON_BYTES_MAX},
    {"Logs a line, of at most ", KENNEL_LINE_BYTES_MAX},
    {"Of one event ", KENNEL_LINES_MAX},
    {"name of a collection is 1 to ", KENNEL_COLLECTION_BYTES_MAX},
    {"a key 1 to ", KENNEL_KEY_BYTES_MAX},
    {"name of the field is 1 to ", KENNEL_FIELD_BYTES_MAX},
    {"JSON text of at most ", KENNEL_DOCUMENT_BYTES_MAX},
    {"that both databases can hold: at most ", KENNEL_LEVELS_MAX},
    {"with numbers of at most ", KENNEL_DIGITS_BEFORE_MAX},
    {"digits before and ", KENNEL_DIGITS_BEHIND_MAX},
    {"round trip at most; at most ", KENNEL_KEYS_MAX},
    {"most `limit`, and at most ", KENNEL_KEYS_MAX},
    {"documents have more than ", KENNEL_ANSWER_BYTES_MAX / KENNEL_MEBIBYTE},
    {"touches more than ", KENNEL_TOUCHED_MAX},
    {"if it reads more than ", KENNEL_READ_BYTES_MAX / KENNEL_MEBIBYTE},
    {"what it changes takes more than ", KENNEL_CHANGE_BYTES_MAX / KENNEL_MEBIBYTE},
    {"Each list has at most ", KENNEL_NAMES_MAX},
    {"each name 1 to ", KENNEL_NAME_BYTES_MAX},
    {"none has to be declared: at most ", KENNEL_COLLECTIONS_MAX},
    {"descriptor. name: string, At most ", KENNEL_COLUMNS_MAX},
    {"columns: list<column>, At most ", KENNEL_INDEXES_MAX},
    {"Unique in its collection: 1 to ", KENNEL_COLUMN_NAME_BYTES_MAX},
    {"There are 1 to ", KENNEL_PATH_FIELDS_MAX},
    {"fields and at most ", KENNEL_PATH_BYTES_MAX},
    {"the most significant first: 1 to ", KENNEL_INDEX_COLUMNS_MAX},
};

/* The contract in one line, without the marks of comments. */
static const char *contract(void) {
    static char text[1 << 16], path[1024];
    const char *folder_end = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s../../../wit/world.wit", (int)(folder_end == NULL ? 0 : folder_end + 1 - __FILE__),
             __FILE__);
    FILE *file = fopen(path, "rb");
    size_t length = 0;
    for (int c; file != NULL && (c = fgetc(file)) != EOF && length + 1 < sizeof text;) {
        bool is_space = c == '\n' || c == ' ' || c == '/';
        if (!is_space || (length > 0 && text[length - 1] != ' ')) {
            text[length++] = (char)(is_space ? ' ' : c);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    text[length] = '\0';
    return text;
}

/* A number with commas between its thousands. */
static size_t number(const char *text) {
    size_t value = 0;
    for (; (*text >= '0' && *text <= '9') || (*text == ',' && text[1] >= '0' && text[1] <= '9'); text++) {
        value = *text == ',' ? value : value * 10 + (size_t)(*text - '0');
    }
    return value;
}

static void the_bounds_are_those_of_the_contract(void) {
    const char *text = contract();
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const char *found = strstr(text, bounds[i].before);
        if (found == NULL) {
            printf("# wit/world.wit does not say: %s\n", bounds[i].before);
        }
        KENNEL_EXPECT(found != NULL);
        for (; found != NULL; found = strstr(found + 1, bounds[i].before)) {
            size_t there = number(found + strlen(bounds[i].before));
            if (there != bounds[i].bound) {
                printf("# wit/world.wit says: %s%zu, the SDK %zu\n", bounds[i].before, there, bounds[i].bound);
            }
            KENNEL_EXPECT(there == bounds[i].bound);
        }
    }
}

const kennel_test contract_tests[] = {KENNEL_TEST(the_bounds_are_those_of_the_contract)};
const size_t contract_test_count = sizeof contract_tests / sizeof contract_tests[0];
