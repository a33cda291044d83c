/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The real terminal and the signals that a user sends from it. */
#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>

#include "out.h"
#include "progress.h"

static const int held_signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t caught; /* the signal, 0: none */

static uint64_t now(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A job in the background draws nothing; it may come to the foreground later. */
static bool visible(void *arg)
{
	(void)arg;
	return isatty(STDERR_FILENO) && tcgetpgrp(STDERR_FILENO) == getpgrp();
}

static unsigned int columns(void *arg)
{
	struct winsize size;

	(void)arg;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return 80;
	return size.ws_col;
}

static void draw(void *arg, const char *text, size_t len)
{
	(void)arg;
	out_put(&out_talk, text, len);
	out_flush(&out_talk);
}

static bool cancelled(void *arg)
{
	(void)arg;
	return caught != 0;
}

const struct progress_terminal progress_stderr = {
	.now = now,
	.visible = visible,
	.columns = columns,
	.draw = draw,
	.cancelled = cancelled,
};

static void catch (int sig)
{
	caught = sig;
}

void interrupt_hold(void)
{
	struct sigaction old, hold = {.sa_handler = catch, .sa_flags = SA_RESTART | SA_RESETHAND};

	for (size_t i = 0; i < ARRAY_SIZE(held_signals); i++) {
		if (!sigaction(held_signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			(void)sigaction(held_signals[i], &hold, NULL);
	}
}

void interrupt_release(void)
{
	struct sigaction old, usual = {.sa_handler = SIG_DFL};

	for (size_t i = 0; i < ARRAY_SIZE(held_signals); i++) {
		if (!sigaction(held_signals[i], NULL, &old) && old.sa_handler == catch)
			(void)sigaction(held_signals[i], &usual, NULL);
	}
	if (caught)
		raise(caught);
}
