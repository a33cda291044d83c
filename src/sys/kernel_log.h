/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the kernel says about a call in its log, where it says it nowhere else. */
#ifndef SYS_KERNEL_LOG_H
#define SYS_KERNEL_LOG_H

#include <stddef.h>

/* The log, at its end. Returns a descriptor, close-on-exec, or -1 where it may not be read. */
int kernel_log_open(void);

/* Moves to the end of the log. @log: may be -1, here and below. */
void kernel_log_skip(int log);

/* The warnings and errors since the last call (or open, or skip) that begin with @prefix, joined by
 * "; ", each once, into @out: NUL-terminated, empty when there are none. Others' calls at the same
 * time may have left theirs there too. */
void kernel_log_words(int log, const char *prefix, char *out, size_t size);

#endif
