/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The real terminal and the signals that a user sends from it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
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

double seconds_now(void)
{
	return (double)now(NULL) / 1e9;
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

/* --- busy ------------------------------------------------------------------------------------ */

static void *draw_busy(void *arg)
{
	struct busy *b = arg;
	struct pollfd stop = {.fd = b->stop_fd, .events = POLLIN};
	int r;

	while ((r = poll(&stop, 1, PROGRESS_INTERVAL_NS / 1000000)) <= 0) {
		if (r == 0)
			(void)progress_tick(&b->progress, 0, 0, 0, 0);
	}
	return NULL;
}

void busy_start(struct busy *b, const char *verb, bool quiet)
{
	b->stop_fd = -1;
	if (quiet || !visible(NULL))
		return;
	progress_start(&b->progress, &progress_stderr, verb, NULL, false);
	b->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (b->stop_fd < 0)
		return;
	if (pthread_create(&b->thread, NULL, draw_busy, b)) {
		close(b->stop_fd);
		b->stop_fd = -1;
	}
}

void busy_stop(struct busy *b)
{
	if (b->stop_fd < 0)
		return;
	(void)eventfd_write(b->stop_fd, 1);
	pthread_join(b->thread, NULL);
	close(b->stop_fd);
	progress_stop(&b->progress);
}

/* --- interruption ---------------------------------------------------------------------------- */

static void note_signal(int sig)
{
	caught = sig;
}

void interrupt_hold(void)
{
	struct sigaction old,
		hold = {.sa_handler = note_signal, .sa_flags = SA_RESTART | SA_RESETHAND};

	for (size_t i = 0; i < ARRAY_SIZE(held_signals); i++) {
		if (!sigaction(held_signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			(void)sigaction(held_signals[i], &hold, NULL);
	}
}

void interrupt_release(void)
{
	struct sigaction old, usual = {.sa_handler = SIG_DFL};

	for (size_t i = 0; i < ARRAY_SIZE(held_signals); i++) {
		if (!sigaction(held_signals[i], NULL, &old) && old.sa_handler == note_signal)
			(void)sigaction(held_signals[i], &usual, NULL);
	}
	if (caught)
		raise(caught);
}
