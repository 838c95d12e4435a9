/* What the parts of the conformance guest have of one another. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <kennel.h>

/* Writes the document of this event's attempt, which has to be undone. */
void attempt(const kennel_event *event);

/* Writes what the event looks like, field by field. */
void record_arrival(const kennel_event *event);

/* Writes what the clock and the generator of random numbers say. */
void record_chance(const kennel_event *event);

/* What a guest must not do: the host has to end it. */
void loop(const kennel_event *event);
void allocate_forever(const kennel_event *event);
void recurse(const kennel_event *event);

#endif
