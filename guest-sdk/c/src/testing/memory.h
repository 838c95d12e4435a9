/* The parts of the test kit, among themselves. */
#ifndef KENNEL_TESTING_MEMORY_H
#define KENNEL_TESTING_MEMORY_H

#include "../call.h"

/* One document of the read model in memory. */
typedef struct kit_document {
    kennel_text collection;
    kennel_text key;
    kennel_text text;
} kit_document;

/* Ends the handler as the host does: `kind` is `invalid-call`, `memory-limit` or `trap`. */
KENNEL_NORETURN void kit_trap(const char *kind, const char *format, ...) KENNEL_PRINTF(2, 3);

/* Memory that lasts until the test ends. */
void *kit_memory(size_t bytes);
kennel_text kit_copy(kennel_text text);
void kit_free_memory(void);

/* The read model: all documents in the order of collections and keys, and what one event does to them. */
void kit_model_clear(void);
void kit_model_begin_event(void);
void kit_model_roll_back(void);
const kit_document *kit_model_find(kennel_text collection, kennel_text key);
const kit_document *kit_model_all(size_t *count);

/* The rules of a document. Gives why it breaks one, or NULL. */
const char *kit_document_fault(kennel_text document);

/* Adds to a field of a document. Gives why that cannot be, or NULL. */
const char *kit_add(kennel_text document, kennel_text field, int64_t by, kennel_text *sum);

/* JSON with fields in order and numbers in one way of writing, in memory of the call: equal values are equal text. */
kennel_text kit_canonical(kennel_json value);

/* The rules of a descriptor. Gives why it breaks one, or NULL. */
const char *kit_descriptor_fault(const kennel_descriptor *descriptor);

#endif
