/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the drop-in programs share: how they fail and how they write.
 *
 * Messages, streams and exit statuses are those of the reference tools (docs/format), so nothing here
 * may be worded anew. Every failure has exit status 1.
 */
#ifndef DROPIN_COMMON_H
#define DROPIN_COMMON_H

#include <cairn/cairn.h>

#include "base/macro.h"

/* Prints "PROG: MESSAGE: <words for -code>" to stderr and exits. @code: negative errno. */
void die_code(int code, const char *fmt, ...) __printf_like(2, 3) __attribute__((noreturn));

/* A sink that writes to the descriptor *@arg. See cairn_write_fn. */
int write_to_fd(void *arg, const void *data, unsigned long size);

/* Writes out what is buffered for stdout. Exits with a message when that fails. */
void finish_stdout(void);

DEFINE_CLEANUP(struct cairn_tree *, tree, cairn_tree_free)

#endif
