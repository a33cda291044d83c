/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The progress line. */
#include "progress.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 256

/* "1.5 GiB" */
static void size_text(char out[32], double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t u = 0;

	for (; bytes >= 1023.95 && u + 1 < ARRAY_SIZE(units); u++)
		bytes /= 1024;
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
}

static size_t append(char *line, size_t len, const char *text)
{
	size_t more = strlen(text);

	if (len + more >= LINE_MAX_LEN)
		return len;
	memcpy(line + len, text, more + 1);
	return len + more;
}

/* "reading: 42% 1200 of 2800 files, 1.5 GiB of 3.6 GiB, 800.0 MiB/s" */
static size_t make_line(const struct progress *p, char line[LINE_MAX_LEN], uint64_t now,
			const unsigned long long done[2], const unsigned long long total[2])
{
	const double seconds = (double)(now - p->start) / 1e9;
	const unsigned int measure = total[1] ? 1 : 0; /* bytes tell more than files */
	char part[128], size[32];
	size_t len;

	snprintf(part, sizeof(part), "%s: ", p->verb);
	len = append(line, 0, part);
	if (!p->noun) {
		snprintf(part, sizeof(part), "%.0f s", seconds);
		return append(line, len, part);
	}
	if (total[measure]) {
		const double share = (double)done[measure] / (double)total[measure];

		snprintf(part, sizeof(part), "%d%% ", (int)(MIN(share, 1.0) * 100));
		len = append(line, len, part);
	}
	if (total[0])
		snprintf(part, sizeof(part), "%llu of %llu %s", done[0], total[0], p->noun);
	else
		snprintf(part, sizeof(part), "%llu %s", done[0], p->noun);
	len = append(line, len, part);
	if (!done[1])
		return len;

	size_text(size, (double)done[1]);
	snprintf(part, sizeof(part), ", %s", size);
	len = append(line, len, part);
	if (total[1]) {
		size_text(size, (double)total[1]);
		snprintf(part, sizeof(part), " of %s", size);
		len = append(line, len, part);
	}
	size_text(size, (double)done[1] / seconds);
	snprintf(part, sizeof(part), ", %s/s", size);
	return append(line, len, part);
}

void progress_start(struct progress *p, const struct progress_terminal *terminal, const char *verb,
		    const char *noun, bool quiet)
{
	*p = (struct progress){.terminal = terminal, .verb = verb, .noun = noun, .quiet = quiet};
	p->start = terminal->now(terminal->arg);
	p->next = p->start + PROGRESS_DELAY_NS;
}

int progress_tick(void *arg, unsigned long long files, unsigned long long bytes,
		  unsigned long long total_files, unsigned long long total_bytes)
{
	struct progress *p = arg;
	const struct progress_terminal *t = p->terminal;
	static const char clear[] = {'\033', '[', 'K'};
	const unsigned long long done[2] = {files, bytes}, total[2] = {total_files, total_bytes};
	char line[LINE_MAX_LEN + 8] = "\r";
	uint64_t now;
	size_t len;

	if (t->cancelled(t->arg))
		return 1;
	if (p->quiet)
		return 0;
	now = t->now(t->arg);
	if (now < p->next)
		return 0;
	p->next = now + PROGRESS_INTERVAL_NS;
	if (!t->visible(t->arg))
		return 0;

	len = make_line(p, line + 1, now, done, total);
	len = MIN(len, (size_t)MAX(t->columns(t->arg), 2u) - 1);
	memcpy(line + 1 + len, clear, sizeof(clear));
	t->draw(t->arg, line, 1 + len + sizeof(clear));
	p->drawn = true;
	return 0;
}

void progress_stop(struct progress *p)
{
	const struct progress_terminal *t = p->terminal;

	if (p->drawn && t->visible(t->arg))
		t->draw(t->arg, "\r\033[K", 4);
	p->drawn = false;
}
