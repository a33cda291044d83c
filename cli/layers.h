/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * How far each of several layers is, a line for each on a terminal, redrawn in place. The rules are those of
 * progress.h: nothing in the first half second, at most ten times a second, only in the foreground, and
 * board_stop() leaves the terminal as if nothing had been drawn.
 */
#ifndef CLI_LAYERS_H
#define CLI_LAYERS_H

#include <cairn/oci.h>

#include "progress.h"

#define BOARD_LINES_MAX 20 /* more layers than that are told in the last line only */

struct board {
	struct progress_terminal terminal;
	uint64_t start, next;
	unsigned int lines; /* on the terminal now */
	bool quiet;
};

void board_start(struct board *b, const struct progress_terminal *terminal, bool quiet);

/* A cairn_pull_progress_fn; @arg: the struct board. Returns 1 when cancelled. */
int board_tick(void *arg, const struct cairn_pull_layer *layers, size_t nr);

void board_stop(struct board *b);

#endif
