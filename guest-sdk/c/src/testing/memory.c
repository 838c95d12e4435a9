/* A read model in memory that keeps the host's rules. It does not persist, and it has one user. */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a document was before this event: no text if there was none. */
typedef struct change {
    kennel_text collection;
    kennel_text key;
    kennel_text before;
} change;

static kit_document *documents;
static size_t document_count;

static change *changes;
static size_t change_count;

static kennel_text touched[KENNEL_TOUCHED_MAX];
static size_t touched_count, bytes_read, bytes_changed;

static KENNEL_NORETURN void end_handler(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    kennel_call_fail(KENNEL_TRAPPED, format, arguments);
}

void kit_trap(const char *kind, const char *format, ...) {
    char message[KENNEL_REASON_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    end_handler("%s: %s", kind, message);
}

static int compare(kennel_text left, kennel_text right) {
    size_t shorter = left.length < right.length ? left.length : right.length;
    int order = shorter == 0 ? 0 : memcmp(left.data, right.data, shorter);
    return order != 0 ? order : left.length < right.length ? -1 : left.length > right.length;
}

/* Where the document is, or where it would have to be. */
static size_t place_of(kennel_text collection, kennel_text key) {
    size_t low = 0, high = document_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(documents[middle].collection, collection);
        if (order == 0) {
            order = compare(documents[middle].key, key);
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(size_t place, kennel_text collection, kennel_text key) {
    return place < document_count && kennel_text_equals(documents[place].collection, collection) &&
           kennel_text_equals(documents[place].key, key);
}

const kit_document *kit_model_find(kennel_text collection, kennel_text key) {
    size_t place = place_of(collection, key);
    return is_at(place, collection, key) ? &documents[place] : NULL;
}

const kit_document *kit_model_all(size_t *count) {
    *count = document_count;
    return documents;
}

/* Room for one more element. Arrays grow at powers of two. */
static void *grown(void *array, size_t count, size_t element_bytes) {
    bool is_full = count == 0 || (count & (count - 1)) == 0;
    void *made = is_full ? realloc(array, (count == 0 ? 1 : 2 * count) * element_bytes) : array;
    if (made == NULL) {
        kennel_host_trap(kennel_text_of("no memory is left"));
    }
    return made;
}

/* Writes a document, or removes it if there is no text. */
static void set(kennel_text collection, kennel_text key, kennel_text text) {
    size_t place = place_of(collection, key);
    bool is_there = is_at(place, collection, key);
    if (is_there && text.data != NULL) {
        documents[place].text = text;
    } else if (is_there) {
        document_count--;
        memmove(documents + place, documents + place + 1, (document_count - place) * sizeof *documents);
    } else if (text.data != NULL) {
        documents = (kit_document *)grown(documents, document_count, sizeof *documents);
        memmove(documents + place + 1, documents + place, (document_count - place) * sizeof *documents);
        documents[place] = (kit_document){collection, key, text};
        document_count++;
    }
}

void kit_model_clear(void) {
    free(documents);
    free(changes);
    documents = NULL;
    changes = NULL;
    document_count = change_count = 0;
    kit_model_begin_event();
}

void kit_model_begin_event(void) {
    change_count = touched_count = bytes_read = bytes_changed = 0;
}

void kit_model_roll_back(void) {
    while (change_count > 0) {
        change undone = changes[--change_count];
        set(undone.collection, undone.key, undone.before);
    }
}

static void check_name(const char *what, kennel_text name, size_t bytes_max) {
    if (!kennel_is_utf8(name.data, name.length)) {
        kit_trap("trap", "a %s of %zu bytes is not UTF-8", what, name.length);
    }
    bool has_nul = name.length > 0 && memchr(name.data, 0, name.length) != NULL;
    if (name.length == 0 || name.length > bytes_max || has_nul) {
        kit_trap("invalid-call", "\"%.60s\" is not a valid %s: use 1 to %zu bytes of text without NUL",
                 name.length == 0 ? "" : kennel_call_copy(name.data, name.length).data, what, bytes_max);
    }
}

static void check_collection(kennel_text collection) {
    check_name("collection name", collection, KENNEL_COLLECTION_BYTES_MAX);
    for (size_t i = 0; i < touched_count; i++) {
        if (kennel_text_equals(touched[i], collection)) {
            return;
        }
    }
    if (touched_count == KENNEL_TOUCHED_MAX) {
        kit_trap("invalid-call", "an event touches more than %d collections", KENNEL_TOUCHED_MAX);
    }
    touched[touched_count++] = kennel_call_copy(collection.data, collection.length);
}

static void check_names(kennel_text collection, kennel_text key) {
    check_collection(collection);
    check_name("document key", key, KENNEL_KEY_BYTES_MAX);
}

/* A copy for the handler of a text that it reads. */
static kennel_text read_text(kennel_text text) {
    bytes_read += text.length;
    if (bytes_read > KENNEL_READ_BYTES_MAX) {
        kit_trap("memory-limit", "an event reads more than 64 MiB of documents");
    }
    return kennel_call_copy(text.data, text.length);
}

static void change_to(kennel_text collection, kennel_text key, kennel_text text) {
    const kit_document *found = kit_model_find(collection, key);
    change made = {kit_copy(collection), kit_copy(key), found == NULL ? (kennel_text){NULL, 0} : found->text};
    bytes_changed += key.length + text.length + made.before.length;
    for (size_t i = 0; i < change_count; i++) {
        if (kennel_text_equals(changes[i].collection, collection) && kennel_text_equals(changes[i].key, key)) {
            bytes_changed -= key.length + 2 * made.before.length; /* only the last change of a document counts */
            break;
        }
    }
    if (bytes_changed > KENNEL_CHANGE_BYTES_MAX) {
        kit_trap("memory-limit", "what an event changes takes more than 32 MiB, with what it replaces");
    }
    changes = (change *)grown(changes, change_count, sizeof *changes);
    changes[change_count++] = made;
    set(made.collection, made.key, text.data == NULL ? text : kit_copy(text));
}

kennel_text kennel_host_get(kennel_text collection, kennel_text key) {
    check_names(collection, key);
    const kit_document *found = kit_model_find(collection, key);
    return found == NULL ? (kennel_text){NULL, 0} : read_text(found->text);
}

kennel_text *kennel_host_get_many(kennel_text collection, const kennel_text *keys, size_t count) {
    check_collection(collection);
    if (count > KENNEL_KEYS_MAX) {
        kit_trap("invalid-call", "get-many of %zu keys: at most %d are possible", count, KENNEL_KEYS_MAX);
    }
    kennel_text *texts = (kennel_text *)kennel_alloc(count * sizeof *texts);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        texts[i] = kennel_host_get(collection, keys[i]);
        bytes += texts[i].length;
        if (bytes > KENNEL_ANSWER_BYTES_MAX) {
            kit_trap("memory-limit", "get-many of documents with more than 32 MiB");
        }
    }
    return texts;
}

void kennel_host_put(kennel_text collection, kennel_text key, kennel_text document) {
    check_names(collection, key);
    const char *fault = kit_document_fault(document);
    if (fault != NULL) {
        kit_trap("invalid-call", "document %s/%s %s", collection.data, kennel_call_copy(key.data, key.length).data,
                 fault);
    }
    change_to(collection, key, document);
}

void kennel_host_delete(kennel_text collection, kennel_text key) {
    check_names(collection, key);
    change_to(collection, key, (kennel_text){NULL, 0});
}

static bool has_prefix(kennel_text key, kennel_text prefix) {
    return key.length >= prefix.length && (prefix.length == 0 || memcmp(key.data, prefix.data, prefix.length) == 0);
}

kennel_rows kennel_host_scan(kennel_text collection, kennel_text after, kennel_text prefix, uint32_t limit) {
    check_collection(collection);
    size_t most = limit < KENNEL_KEYS_MAX ? limit : KENNEL_KEYS_MAX, bytes = 0;
    kennel_row *rows = (kennel_row *)kennel_alloc(most * sizeof *rows);
    size_t count = 0;
    for (size_t i = place_of(collection, prefix); i < document_count && count < most; i++) {
        if (!kennel_text_equals(documents[i].collection, collection) || !has_prefix(documents[i].key, prefix)) {
            break;
        }
        if (after.data != NULL && compare(documents[i].key, after) <= 0) {
            continue;
        }
        bytes += documents[i].key.length + documents[i].text.length;
        if (bytes > KENNEL_ANSWER_BYTES_MAX) {
            kit_trap("memory-limit", "a scan of keys and documents with more than 32 MiB");
        }
        rows[count].key = kennel_call_copy(documents[i].key.data, documents[i].key.length);
        rows[count++].document = read_text(documents[i].text);
    }
    return (kennel_rows){rows, count};
}

void kennel_host_increment(kennel_text collection, kennel_text key, kennel_text field, int64_t by) {
    check_names(collection, key);
    check_name("field name", field, KENNEL_FIELD_BYTES_MAX);
    const kit_document *found = kit_model_find(collection, key);
    kennel_text sum;
    const char *fault = kit_add(found == NULL ? kennel_text_of("{}") : found->text, field, by, &sum);
    if (fault == NULL) {
        fault = kit_document_fault(sum);
    }
    if (fault != NULL) {
        kit_trap("invalid-call", "increment of %s in document %s/%s: it %s", field.data, collection.data,
                 kennel_call_copy(key.data, key.length).data, fault);
    }
    change_to(collection, key, sum);
}
