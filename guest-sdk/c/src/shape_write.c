/* JSON from structs by their shape. */
#include <string.h>

#include "call.h"
#include "shape.h"

static void write_object(kennel_writer *writer, const kennel_shape *shape, const void *value);

/* Writes a member that is not a list, or an element of one. */
static void write_value(kennel_writer *writer, const kennel_field *field, const void *member) {
    switch (field->type) {
    case KENNEL_TYPE_OBJECT:
        write_object(writer, field->shape, member);
        break;
    case KENNEL_TYPE_TEXT:
        if (field->is_optional && !field->is_list && ((const kennel_text *)member)->data == NULL) {
            kennel_write_null(writer);
        } else {
            kennel_write_text(writer, *(const kennel_text *)member);
        }
        break;
    case KENNEL_TYPE_INTEGER:
        kennel_write_integer(writer, *(const int64_t *)member);
        break;
    case KENNEL_TYPE_UNSIGNED:
        kennel_write_unsigned(writer, *(const uint64_t *)member);
        break;
    case KENNEL_TYPE_NUMBER:
        kennel_write_number(writer, *(const double *)member);
        break;
    case KENNEL_TYPE_BOOLEAN:
        kennel_write_boolean(writer, *(const bool *)member);
        break;
    default:
        kennel_write_json(writer, *(const kennel_json *)member);
    }
}

size_t kennel_element_size(const kennel_field *field) {
    switch (field->type) {
    case KENNEL_TYPE_OBJECT:
        return field->shape->size;
    case KENNEL_TYPE_TEXT:
        return sizeof(kennel_text);
    case KENNEL_TYPE_JSON:
        return sizeof(kennel_json);
    case KENNEL_TYPE_BOOLEAN:
        return sizeof(bool);
    default:
        return sizeof(int64_t);
    }
}

static void write_list(kennel_writer *writer, const kennel_field *field, const void *member) {
    kennel_items list;
    memcpy(&list, member, sizeof list);
    if (field->is_optional && list.items == NULL) {
        kennel_write_null(writer);
        return;
    }
    size_t size = kennel_element_size(field);
    kennel_write_array(writer);
    for (size_t i = 0; i < list.count; i++) {
        write_value(writer, field, (const char *)list.items + i * size);
    }
    kennel_write_array_end(writer);
}

static void write_object(kennel_writer *writer, const kennel_shape *shape, const void *value) {
    kennel_write_object(writer);
    for (size_t i = 0; i < shape->field_count; i++) {
        const kennel_field *field = &shape->fields[i];
        kennel_write_name(writer, kennel_text_of(field->name));
        const void *member = (const char *)value + field->offset;
        if (field->is_list) {
            write_list(writer, field, member);
        } else {
            write_value(writer, field, member);
        }
    }
    kennel_write_object_end(writer);
}

kennel_text kennel_encode(const kennel_shape *shape, const void *value) {
    kennel_writer writer = {0};
    write_object(&writer, shape, value);
    return kennel_written(&writer);
}
