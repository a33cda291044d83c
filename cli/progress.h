/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * How far a long operation is, on one line of a terminal that is redrawn in place.
 *
 *  1. Nothing is drawn in the first half second, and then at most ten times a second.
 *  2. Nothing is drawn unless the terminal is there and we are in its foreground.
 *  3. progress_stop() leaves the terminal as if nothing had been drawn.
 *
 * Operations that do not tell how far they are get a busy line, which counts the seconds.
 *
 * Clock and terminal are injected, so that a test sees every byte.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pthread.h>

#include "base/macro.h"

#define PROGRESS_DELAY_NS    500000000u /* before the first line */
#define PROGRESS_INTERVAL_NS 100000000u /* between two of them */

struct progress_terminal {
	uint64_t (*now)(void *arg); /* nanoseconds of a clock that only goes forward */
	bool (*visible)(void *arg); /* asked before each drawing */
	unsigned int (*columns)(void *arg);
	void (*draw)(void *arg, const char *text, size_t len);
	bool (*cancelled)(void *arg); /* the user wants it to end */
	void *arg;
};

/* Standard error; cancelled by what interrupt_hold() catches. */
extern const struct progress_terminal progress_stderr;

/* Seconds of its clock. */
double seconds_now(void);

struct progress {
	const struct progress_terminal *terminal;
	const char *verb;     /* "reading" */
	const char *noun;     /* "files"; NULL: only count the seconds */
	uint64_t start, next; /* when it began, and when to look at the terminal again */
	bool quiet;           /* draw nothing */
	bool drawn;           /* there is a line on the terminal */
};

/* Begins. @quiet: draw nothing, but still notice cancellation. */
void progress_start(struct progress *p, const struct progress_terminal *terminal, const char *verb,
		    const char *noun, bool quiet);

/* A cairn_progress_fn; @arg: the struct progress. Returns 1 when cancelled. */
int progress_tick(void *arg, unsigned long long files, unsigned long long bytes,
		  unsigned long long total_files, unsigned long long total_bytes);

/* Clears the line. */
void progress_stop(struct progress *p);

/* --- busy ------------------------------------------------------------------------------------ */

struct busy {
	struct progress progress;
	pthread_t thread; /* draws, while the caller works */
	int stop_fd;      /* tells it to end; -1: there is none */
};

/* Begins: nothing but a check of standard error unless that is a terminal that we may draw on. */
void busy_start(struct busy *b, const char *verb, bool quiet);
void busy_stop(struct busy *b);

/* --- interruption ---------------------------------------------------------------------------- */

/* From here on SIGINT, SIGTERM and SIGHUP only ask the running operation to end, by way of
 * progress_tick(); asked twice, the program ends at once. Ignored signals stay ignored. */
void interrupt_hold(void);

/* The signals have their usual effect again; one that came in the meantime has it now. */
void interrupt_release(void);

#endif
