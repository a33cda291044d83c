/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the commands about mounts share: words for states, and notes about mounts.
 *
 * The kernel's own table tells which image a mount is of, and its state. Where the image came from and
 * which format it has it cannot tell, so that is noted in a file for each file system below /run/cairn,
 * or $XDG_RUNTIME_DIR/cairn for others than root. A note that is missing or stale costs these two words.
 */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include <limits.h>

#include "cli.h"

const char *state_word(enum cairn_state state);
const char *backend_word(enum cairn_backend backend);

/* Notes that the file system on @target is of the image at @path. */
void record_write(const char *target, const char *path, int format);

/* What was noted about @mounted. Returns whether there is a note. */
bool record_read(const struct cairn_mounted *mounted, char path[PATH_MAX], int *format);

/* Drops the notes about file systems that @target has none of any more. @dev: its device, as
 * record_device() told before it was unmounted. */
uint64_t record_device(const char *target);
void record_drop(uint64_t dev);

#endif
