/* What a projection prints. */
#ifndef KENNEL_OUTPUT_H
#define KENNEL_OUTPUT_H

/* Logs what the C library has handed on without a line's end. */
void kennel_end_output(void);

#endif
