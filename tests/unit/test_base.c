/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Hexadecimal text; threads whose results are taken in order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/conveyor.h"
#include "base/parallel.h"

/* Every length up to a digest's and more, against printf. */
static void test_hex(void **state)
{
	uint8_t bytes[80], back[80];
	char text[2 * 80 + 1], expected[2 * 80 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		memset(text, '.', sizeof(text));
		for (size_t i = 0; i < size; i++)
			sprintf(expected + 2 * i, "%02x", bytes[i]);
		assert_ptr_equal(hex_put(text, bytes, size), text + 2 * size);
		assert_memory_equal(text, expected, 2 * size);
		assert_int_equal(text[2 * size], '.');
		memset(back, 0, sizeof(back));
		assert_int_equal(hex_get(text, back, size), 0);
		assert_memory_equal(back, bytes, size);
		for (size_t i = 0; i < 2 * size; i++)
			if (text[i] >= 'a')
				text[i] = (char)(text[i] - 'a' + 'A');
		assert_int_equal(hex_get(text, back, size), 0);
		assert_memory_equal(back, bytes, size);
	}
}

/* Each character that is no digit, at each place. */
static void test_no_hex(void **state)
{
	uint8_t out[35];
	char text[70];

	(void)state;
	memset(text, '7', sizeof(text));
	for (size_t at = 0; at < sizeof(text); at++) {
		for (int c = 0; c < 256; c++) {
			bool digit = c && strchr("0123456789abcdefABCDEF", c);

			text[at] = (char)c;
			assert_int_equal(hex_get(text, out, sizeof(out)), digit ? 0 : -1);
		}
		text[at] = '7';
	}
}

#define NR    1000
#define SLOTS 5

struct run {
	size_t slot[SLOTS]; /* the index made there, plus one; 0: free */
	size_t taken;
	atomic_int taking;
	size_t make_fails, take_fails;
	bool broken;
};

static int make(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct run *r = (struct run *)arg;
	volatile unsigned int work = 0;

	(void)worker;
	if (r->slot[slot] || slot != i % SLOTS)
		r->broken = true;
	r->slot[slot] = i + 1;
	/* Some take longer than others. */
	while (work < i * 7919 % 1000)
		work++;
	return i == r->make_fails ? -EIO : 0;
}

static int take(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct run *r = (struct run *)arg;

	(void)worker;
	if (atomic_fetch_add(&r->taking, 1) || r->taken != i || r->slot[slot] != i + 1)
		r->broken = true;
	r->taken++;
	r->slot[slot] = 0;
	atomic_fetch_sub(&r->taking, 1);
	return i == r->take_fails ? -ENOSPC : 0;
}

static void test_in_order(void **state)
{
	const struct {
		size_t make_fails, take_fails;
		int r;
		size_t taken;
	} cases[] = {
		{NR, NR, 0, NR},
		{500, NR, -EIO, 500},    /* all before it are taken */
		{NR, 300, -ENOSPC, 301}, /* and nothing after it */
		{300, 300, -EIO, 300},
		{302, 300, -ENOSPC, 301}, /* the lower index wins, whoever was first */
		{0, NR, -EIO, 0},
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		for (unsigned int jobs = 0; jobs <= 8; jobs += 2) {
			struct run run = {.make_fails = cases[c].make_fails,
					  .take_fails = cases[c].take_fails};

			assert_int_equal(parallel_in_order(jobs, NR, SLOTS, make, take, &run),
					 cases[c].r);
			assert_int_equal(run.taken, cases[c].taken);
			assert_false(run.broken);
		}
	}
}

static int add_index(void *arg, unsigned int worker, size_t i)
{
	(void)worker;
	atomic_fetch_add((atomic_size_t *)arg, i);
	return i == 77 ? -EIO : 0;
}

static void test_team(void **state)
{
	const struct team none = {0}, three = {3, parallel_for};
	atomic_size_t sum = 0;

	(void)state;
	assert_int_equal(team_each(&none, 50, add_index, &sum), 0);
	assert_int_equal(atomic_exchange(&sum, 0), 49 * 50 / 2);
	assert_int_equal(team_each(&three, 50, add_index, &sum), 0);
	assert_int_equal(atomic_exchange(&sum, 0), 49 * 50 / 2);
	assert_int_equal(team_each(&none, 100, add_index, &sum), -EIO);
	assert_int_equal(team_each(&three, 100, add_index, &sum), -EIO);
}

struct line {
	size_t next, fail; /* numbers are expected in order; this one fails */
};

static int take_number(void *arg, void *slot)
{
	struct line *line = (struct line *)arg;

	if (*(size_t *)slot != line->next)
		return -EINVAL;
	return line->next++ == line->fail ? -EIO : 0;
}

/* In order, with a thread and without, up to the failure and not beyond. */
static void test_conveyor(void **state)
{
	(void)state;
	for (unsigned int slots = 1; slots < 6; slots++) {
		for (size_t fail = 0; fail <= 1000; fail += 250) {
			struct line line = {.fail = fail};
			struct conveyor *c;
			size_t sent = 0, *slot;

			assert_int_equal(
				conveyor_new(slots, sizeof(size_t), take_number, &line, &c), 0);
			for (; sent < 1000 && (slot = (size_t *)conveyor_slot(c)); sent++) {
				assert_ptr_equal(conveyor_slot(c), slot);
				*slot = sent;
				conveyor_send(c);
			}
			assert_true(sent <= fail + 1 + slots);
			assert_int_equal(conveyor_finish(c), fail < 1000 ? -EIO : 0);
			assert_int_equal(line.next, MIN(fail + 1, (size_t)1000));
			assert_int_equal(!conveyor_slot(c), fail < 1000);
			conveyor_free(c);
		}
	}
	conveyor_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),      cmocka_unit_test(test_no_hex),
		cmocka_unit_test(test_in_order), cmocka_unit_test(test_team),
		cmocka_unit_test(test_conveyor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
