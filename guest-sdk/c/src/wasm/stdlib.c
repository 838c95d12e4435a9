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

#define LINE_BYTES_MAX 4096

typedef struct stream {
    char line[LINE_BYTES_MAX];
    size_t length;
} stream;

static stream standard_output, standard_error;

static void log_line(stream *to, kennel_level level) {
    kennel_log(level, "%.*s", (int)to->length, to->line);
    to->length = 0;
}

static void print(stream *to, kennel_level level, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\n') {
            to->line[to->length++] = text[i];
        }
        if (text[i] == '\n' || to->length == LINE_BYTES_MAX) {
            log_line(to, level);
        }
    }
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
    if (file != STDOUT_FILENO && file != STDERR_FILENO) {
        errno = EBADF;
        return -1;
    }
    ssize_t written = 0;
    for (int i = 0; i < count; i++) {
        if (file == STDOUT_FILENO) {
            print(&standard_output, KENNEL_INFO, (const char *)pieces[i].iov_base, pieces[i].iov_len);
        } else {
            print(&standard_error, KENNEL_WARN, (const char *)pieces[i].iov_base, pieces[i].iov_len);
        }
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

_Noreturn void abort(void) {
    kennel_reject("abort was called");
}
