/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A line for each layer. */
#include "layers.h"

#include <stdio.h>
#include <string.h>

#include "out.h"

#define LINE_MAX_LEN 240
#define BAR          20

void board_start(struct board *b, const struct progress_terminal *terminal, bool quiet)
{
	*b = (struct board){.terminal = *terminal, .quiet = quiet};
	b->start = terminal->now(terminal->arg);
	b->next = b->start + PROGRESS_DELAY_NS;
}

static const char *words_of(enum cairn_pull_state state)
{
	switch (state) {
	case CAIRN_PULL_KNOWN:
		return "here";
	case CAIRN_PULL_DONE:
		return "done";
	case CAIRN_PULL_FETCHING:
		return "";
	default:
		return "waits";
	}
}

/* "1.5 MiB" in a buffer. */
static const char *size_text(uint64_t bytes, char out[24])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned int unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

static void layer_line(char out[LINE_MAX_LEN], size_t i, const struct cairn_pull_layer *l)
{
	char bar[BAR + 1], done[24], size[24];
	size_t filled = l->size ? (size_t)(l->done * BAR / l->size) : BAR;

	if (l->state == CAIRN_PULL_KNOWN || l->state == CAIRN_PULL_DONE)
		filled = BAR;
	filled = MIN(filled, (size_t)BAR);
	memset(bar, '#', filled);
	memset(bar + filled, '.', BAR - filled);
	bar[BAR] = '\0';
	snprintf(out, LINE_MAX_LEN, "layer %3zu %s %10s of %-10s %s", i, bar,
		 size_text(l->done, done), size_text(l->size, size), words_of(l->state));
}

static void total_line(char out[LINE_MAX_LEN], const struct board *b, uint64_t now,
		       const struct cairn_pull_layer *layers, size_t nr)
{
	uint64_t done = 0, saved = 0;
	double seconds = (double)(now - b->start) / 1e9;
	char a[24], c[24], rate[24];

	for (size_t i = 0; i < nr; i++) {
		done += layers[i].done;
		saved += layers[i].state == CAIRN_PULL_KNOWN ? layers[i].size : layers[i].saved;
	}
	snprintf(out, LINE_MAX_LEN, "fetched %s, saved %s, %s/s", size_text(done, a),
		 size_text(saved, c), size_text((uint64_t)((double)done / seconds), rate));
}

static void draw(const struct board *b, const char *text)
{
	b->terminal.draw(b->terminal.arg, text, strlen(text));
}

/* To the first of the lines that are there. */
static void go_up(struct board *b)
{
	char text[24];

	if (!b->lines)
		return;
	snprintf(text, sizeof(text), "\033[%uA\r", b->lines);
	draw(b, text);
}

static void put_line(struct board *b, char line[LINE_MAX_LEN], unsigned int columns)
{
	if (columns && columns < LINE_MAX_LEN)
		line[columns - 1] = '\0';
	draw(b, line);
	draw(b, "\033[K\n");
}

int board_tick(void *arg, const struct cairn_pull_layer *layers, size_t nr)
{
	struct board *b = (struct board *)arg;
	const struct progress_terminal *t = &b->terminal;
	uint64_t now = t->now(t->arg);
	unsigned int columns, lines = 0;
	char line[LINE_MAX_LEN];

	if (t->cancelled(t->arg))
		return 1;
	if (b->quiet || now < b->next)
		return 0;
	b->next = now + PROGRESS_INTERVAL_NS;
	if (!t->visible(t->arg))
		return 0;
	columns = t->columns(t->arg);
	go_up(b);
	for (size_t i = 0; i < nr && lines < BOARD_LINES_MAX; i++, lines++) {
		layer_line(line, i, &layers[i]);
		put_line(b, line, columns);
	}
	total_line(line, b, now, layers, nr);
	put_line(b, line, columns);
	b->lines = lines + 1;
	return 0;
}

void board_stop(struct board *b)
{
	if (!b->lines)
		return;
	go_up(b);
	draw(b, "\033[J");
	b->lines = 0;
}
