/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cli/command.c: commands by name, those in groups too. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cli.h"

static const struct opt opts[] = {
	OPT_END,
};

static const struct command *ran;
static int ran_argc;

static int run(const struct command *self, int argc, char **argv)
{
	(void)argv;
	ran = self;
	ran_argc = argc;
	return 42;
}

#define COMMAND(n)                                                                                 \
	{                                                                                          \
		.name = (n), .operands = "", .summary = "do it", .opts = opts, .run = run          \
	}

static const struct command ls = COMMAND("ls");
static const struct command store = {.name = "store", .summary = "what a store is"};
static const struct command store_init = COMMAND("store init");
static const struct command store_ls = COMMAND("store ls");
static const struct command stores = COMMAND("stores");

const struct command *const commands[] = {&ls, &store, &store_init, &store_ls, &stores, NULL};

static void test_member(void **state)
{
	(void)state;
	assert_string_equal(command_member(NULL, &ls), "ls");
	assert_string_equal(command_member(NULL, &store), "store");
	assert_null(command_member(NULL, &store_init));
	assert_string_equal(command_member(&store, &store_init), "init");
	assert_null(command_member(&store, &ls));
	assert_null(command_member(&store, &stores)); /* begins like the group's name */
	assert_null(command_member(&store, &store));
}

static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(command_find(NULL, "ls"), &ls);
	assert_ptr_equal(command_find(NULL, "store"), &store);
	assert_ptr_equal(command_find(&store, "ls"), &store_ls);
	assert_ptr_equal(command_find(&store, "init"), &store_init);
	assert_null(command_find(NULL, "init"));
	assert_null(command_find(NULL, "store init")); /* one word is one word */
	assert_null(command_find(&store, ""));
	assert_null(command_find(&store, "stores"));
}

static void test_run(void **state)
{
	char ls_word[] = "ls", group[] = "store", init[] = "init", other[] = "stores", a[] = "a";
	char *plain[] = {ls_word, a, NULL}, *member[] = {group, init, a, a, NULL};
	char *none[] = {group, NULL}, *unknown[] = {group, other, NULL};

	(void)state;
	assert_int_equal(command_run(&ls, 2, plain), 42);
	assert_ptr_equal(ran, &ls);
	assert_int_equal(ran_argc, 2);

	assert_int_equal(command_run(&store, 4, member), 42);
	assert_ptr_equal(ran, &store_init);
	assert_ptr_equal(command_running, &store_init);
	assert_int_equal(ran_argc, 3);

	ran = NULL;
	assert_int_equal(command_run(&store, 1, none), EXIT_USAGE);
	assert_int_equal(command_run(&store, 2, unknown), EXIT_USAGE);
	assert_null(ran);
}

static void test_audit(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++)
		opt_audit(commands[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
