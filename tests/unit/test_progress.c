/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The progress line, byte for byte, with a clock and a terminal of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "progress.h"

#define MS  1000000ull
#define MIB (1024ull * 1024)

static struct fake {
	uint64_t now;
	bool visible, cancelled;
	unsigned int columns;
	char text[4096]; /* everything drawn */
	size_t len;
} fake;

static uint64_t fake_now(void *arg)
{
	return ((struct fake *)arg)->now;
}

static bool fake_visible(void *arg)
{
	return ((struct fake *)arg)->visible;
}

static unsigned int fake_columns(void *arg)
{
	return ((struct fake *)arg)->columns;
}

static void fake_draw(void *arg, const char *text, size_t len)
{
	struct fake *f = arg;

	assert_true(f->len + len < sizeof(f->text));
	memcpy(f->text + f->len, text, len);
	f->len += len;
}

static bool fake_cancelled(void *arg)
{
	return ((struct fake *)arg)->cancelled;
}

static const struct progress_terminal terminal = {
	.now = fake_now,
	.visible = fake_visible,
	.columns = fake_columns,
	.draw = fake_draw,
	.cancelled = fake_cancelled,
	.arg = &fake,
};

static void begin(struct progress *p, bool quiet)
{
	fake = (struct fake){.now = 1000 * MS, .visible = true, .columns = 80};
	progress_start(p, &terminal, "reading", "files", quiet);
}

/* What was drawn since the last time. */
static void assert_drawn(const char *want)
{
	fake.text[fake.len] = '\0';
	assert_string_equal(fake.text, want);
	fake.len = 0;
}

static void test_delay_and_interval(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, false);
	fake.now += 499 * MS;
	assert_int_equal(progress_tick(&p, 1, 0, 0, 0), 0);
	assert_drawn("");
	fake.now += 1 * MS;
	progress_tick(&p, 2, 0, 0, 0);
	assert_drawn("\rreading: 2 files\033[K");
	fake.now += 99 * MS;
	progress_tick(&p, 3, 0, 0, 0);
	assert_drawn("");
	fake.now += 1 * MS;
	progress_tick(&p, 4, 0, 0, 0);
	assert_drawn("\rreading: 4 files\033[K");
	progress_stop(&p);
	assert_drawn("\r\033[K");
	progress_stop(&p);
	assert_drawn("");
}

static void test_short_operation_draws_nothing(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, false);
	progress_tick(&p, 100, 5 * MIB, 0, 0);
	fake.now += 3000 * MS;
	progress_stop(&p);
	assert_drawn("");
}

static void test_line(void **state)
{
	static const struct {
		unsigned long long files, bytes, total_files, total_bytes;
		const char *line;
	} rows[] = {
		{0, 0, 0, 0, "reading: 0 files"},
		{7, 512, 0, 0, "reading: 7 files, 512 B, 512 B/s"},
		{7, 3 * MIB / 2, 0, 0, "reading: 7 files, 1.5 MiB, 1.5 MiB/s"},
		{1, 0, 3, 0, "reading: 33% 1 of 3 files"},
		{1, MIB, 3, 4 * MIB, "reading: 25% 1 of 3 files, 1.0 MiB of 4.0 MiB, 1.0 MiB/s"},
		{1, MIB, 0, 2 * MIB, "reading: 50% 1 files, 1.0 MiB of 2.0 MiB, 1.0 MiB/s"},
		/* a file that grew does not make it more than all */
		{3, 5 * MIB, 3, 4 * MIB,
		 "reading: 100% 3 of 3 files, 5.0 MiB of 4.0 MiB, 5.0 MiB/s"},
		/* rounding never shows 1024.0 */
		{1, MIB - 1, 0, 0, "reading: 1 files, 1.0 MiB, 1.0 MiB/s"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct progress p;
		char want[128];

		begin(&p, false);
		fake.now += 1000 * MS;
		progress_tick(&p, rows[i].files, rows[i].bytes, rows[i].total_files,
			      rows[i].total_bytes);
		strcpy(want, "\r");
		strcat(want, rows[i].line);
		strcat(want, "\033[K");
		assert_drawn(want);
	}
}

static void test_seconds_only(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, false);
	p.noun = NULL;
	fake.now += 600 * MS;
	progress_tick(&p, 0, 0, 0, 0);
	assert_drawn("\rreading: 1 s\033[K");
	fake.now += 9000 * MS;
	progress_tick(&p, 0, 0, 0, 0);
	assert_drawn("\rreading: 10 s\033[K");
}

static void test_narrow_terminal(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, false);
	fake.columns = 10;
	fake.now += 1000 * MS;
	progress_tick(&p, 12345, 0, 0, 0);
	assert_drawn("\rreading: \033[K");
	fake.columns = 0;
	fake.now += 1000 * MS;
	progress_tick(&p, 12345, 0, 0, 0);
	assert_drawn("\rr\033[K");
}

static void test_background(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, false);
	fake.visible = false;
	fake.now += 1000 * MS;
	progress_tick(&p, 1, 0, 0, 0);
	assert_drawn("");
	fake.visible = true;
	fake.now += 100 * MS;
	progress_tick(&p, 2, 0, 0, 0);
	assert_drawn("\rreading: 2 files\033[K");
	/* in the background again: the line is the foreground job's now */
	fake.visible = false;
	progress_stop(&p);
	assert_drawn("");
}

static void test_quiet_but_cancelled(void **state)
{
	struct progress p;

	(void)state;
	begin(&p, true);
	fake.now += 1000 * MS;
	assert_int_equal(progress_tick(&p, 1, 0, 0, 0), 0);
	fake.cancelled = true;
	assert_int_equal(progress_tick(&p, 1, 0, 0, 0), 1);
	progress_stop(&p);
	assert_drawn("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_and_interval),
		cmocka_unit_test(test_short_operation_draws_nothing),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_seconds_only),
		cmocka_unit_test(test_narrow_terminal),
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_quiet_but_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
