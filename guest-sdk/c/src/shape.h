/* Structs from JSON for those who have more to say of a misfit than what it is. */
#ifndef KENNEL_SHAPE_H
#define KENNEL_SHAPE_H

#include "kennel.h"

/* What the member of a list is, whatever its elements are. */
typedef struct kennel_items {
    void *items;
    size_t count;
} kennel_items;

/* How many bytes an element of a list takes. */
size_t kennel_element_size(const kennel_field *field);

/* Reads a struct. If the text does not fit, gives false and why. */
bool kennel_shape_read(kennel_text text, const kennel_shape *shape, void *out, kennel_text *problem);

#endif
