/*
 * Parts of the C library that would import WASI: a projection that prints, asserts or aborts needs no adapter for it.
 *
 * Standard output and standard error go to the log, line by line, as the host does it for WASI. Other files are none.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../call.h"
#include "output.h"

/* What `abort` says of the line before it. */
#define LAST_BYTES_MAX 1024

typedef struct stream {
    char line[KENNEL_LINE_BYTES_MAX];
    size_t length;
} stream;

static stream standard_output, standard_error;

/* The last line of standard error in this event. */
static char last_error[LAST_BYTES_MAX];
static size_t last_error_length;

static void log_line(stream *to) {
    if (to == &standard_error) {
        last_error_length = to->length < LAST_BYTES_MAX ? to->length : LAST_BYTES_MAX;
        memcpy(last_error, to->line, last_error_length);
    }
    kennel_log(to == &standard_error ? KENNEL_WARN : KENNEL_INFO, "%.*s", (int)to->length, to->line);
    to->length = 0;
}

static void print(stream *to, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\n') {
            to->line[to->length++] = text[i];
        }
        if (text[i] == '\n' || to->length == KENNEL_LINE_BYTES_MAX) {
            log_line(to);
        }
    }
}

static void finish_line(stream *of) {
    if (of->length > 0) {
        log_line(of);
    }
}

void kennel_end_output(void) {
    finish_line(&standard_output);
    finish_line(&standard_error);
    last_error_length = 0;
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
    if (file != STDOUT_FILENO && file != STDERR_FILENO) {
        errno = EBADF;
        return -1;
    }
    ssize_t written = 0;
    for (int i = 0; i < count; i++) {
        print(file == STDOUT_FILENO ? &standard_output : &standard_error, (const char *)pieces[i].iov_base,
              pieces[i].iov_len);
        written += (ssize_t)pieces[i].iov_len;
    }
    return written;
}

/* A terminal gets each line once it is complete. The C library calls the name with underscores. */
int __isatty(int file) {
    return file == STDOUT_FILENO || file == STDERR_FILENO;
}

int isatty(int file) {
    return __isatty(file);
}

off_t __lseek(int file, off_t offset, int whence) {
    (void)file;
    (void)offset;
    (void)whence;
    errno = ESPIPE;
    return -1;
}

off_t(lseek)(int file, off_t offset, int whence) {
    return __lseek(file, offset, whence);
}

int close(int file) {
    (void)file;
    return 0;
}

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function) {
    kennel_reject("assertion failed: %s (%s:%d, %s)", expression, file, line, function);
}

/* Programs mostly say on standard error why they abort, and so does the library of C++. */
_Noreturn void abort(void) {
    finish_line(&standard_error);
    if (last_error_length == 0) {
        kennel_reject("abort was called");
    }
    kennel_reject("abort was called: %.*s", (int)last_error_length, last_error);
}

_Noreturn void _Exit(int status) {
    kennel_reject("exit was called with status %d", status);
}

_Noreturn void exit(int status) {
    _Exit(status);
}
