/* Text: comparing, formatting, and checking that it is UTF-8. */
#include <stdio.h>
#include <string.h>

#include "call.h"

kennel_text kennel_text_of(const char *text) {
    return (kennel_text){text, text == NULL ? 0 : strlen(text)};
}

bool kennel_text_equals(kennel_text left, kennel_text right) {
    if (left.data == NULL || right.data == NULL) {
        return left.data == right.data;
    }
    return left.length == right.length && memcmp(left.data, right.data, left.length) == 0;
}

bool kennel_text_is(kennel_text text, const char *expected) {
    if (text.data == NULL || expected == NULL) {
        return text.data == expected;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (expected[i] == '\0' || expected[i] != text.data[i]) {
            return false;
        }
    }
    return expected[text.length] == '\0';
}

kennel_text kennel_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        kennel_reject("the text of format \"%s\" cannot be written", format);
    }
    char *text = (char *)kennel_call_memory((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return (kennel_text){text, (size_t)length};
}

/* The length of the character at the start of the text, or 0 if there is no valid one. */
static size_t character_length(const unsigned char *text, size_t length) {
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length < count) {
        return 0;
    }
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < count; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return count;
}

bool kennel_is_utf8(const char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t count = character_length((const unsigned char *)text + i, length - i);
        if (count == 0) {
            return false;
        }
        i += count;
    }
    return true;
}

size_t kennel_make_utf8(char *text, size_t length, size_t bytes_max) {
    size_t i = 0;
    while (i < length) {
        size_t count = character_length((const unsigned char *)text + i, length - i);
        if (count == 0) {
            bool is_cut_short = length - i < 4 && length >= bytes_max;
            if (is_cut_short) {
                break;
            }
            text[i] = '?';
            count = 1;
        }
        if (i + count > bytes_max) {
            break;
        }
        i += count;
    }
    text[i] = '\0';
    return i;
}
