/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The option parser and the -h text, both from the tables. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

static const struct opt help_opt = {
	.name = "help", .short_name = 'h', .kind = OPT_KIND_BOOL, .help = "show this help"};

const struct opt *opt_at(const struct command *cmd, size_t i)
{
	if (!cmd->run)
		return NULL;
	for (const struct opt *o = cmd->opts; o->name; o++) {
		if (!i--)
			return o;
	}
	return i ? NULL : &help_opt;
}

static const struct opt *find_long(const struct command *cmd, const char *name, size_t len)
{
	const struct opt *o;

	for (size_t i = 0; (o = opt_at(cmd, i)); i++) {
		if (!strncmp(o->name, name, len) && !o->name[len])
			return o;
	}
	return NULL;
}

static const struct opt *find_short(const struct command *cmd, char c)
{
	const struct opt *o;

	for (size_t i = 0; (o = opt_at(cmd, i)); i++) {
		if (o->short_name == c)
			return o;
	}
	return NULL;
}

/* --- setting --------------------------------------------------------------------------------- */

/* Place of @word, in either case, in "a|b|c", from 1 on; 0: not there. */
static unsigned int choice_place(const char *choices, const char *word)
{
	size_t want = strlen(word);

	for (unsigned int place = 1;; place++) {
		size_t len = strcspn(choices, "|");

		if (len == want && !strncasecmp(choices, word, len))
			return place;
		if (!choices[len])
			return 0;
		choices += len + 1;
	}
}

static int set_count(const struct opt *o, const char *arg, unsigned int *ret)
{
	unsigned long n = 0;
	const char *p = arg;

	for (; *p >= '0' && *p <= '9' && n <= o->value; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	if (*p || p == arg || !n || n > o->value) {
		talk_usage("--%s: a number from 1 to %u, not '%s'", o->name, o->value, arg);
		return -1;
	}
	*ret = (unsigned int)n;
	return 0;
}

static int set_choice(const struct opt *o, const char *arg, unsigned int *ret)
{
	unsigned int place;

	assert(o->choices && arg);
	place = choice_place(o->choices, arg);
	if (!place) {
		talk_usage("--%s: one of %s, not '%s'", o->name, o->choices, arg);
		return -1;
	}
	*ret = place;
	return 0;
}

static int set_list(const struct opt *o, const char *arg, struct opt_list *list)
{
	if (list->nr == OPT_LIST_MAX) {
		talk_usage("--%s: more than %d of them", o->name, OPT_LIST_MAX);
		return -1;
	}
	list->text[list->nr++] = arg;
	return 0;
}

static int set_opt(const struct command *cmd, const struct opt *o, const char *arg, void *args)
{
	void *var = (char *)args + o->offset;

	if (o == &help_opt) {
		opt_help(cmd);
		exit(out_flush(&out_result) < 0 ? EXIT_FAILED : EXIT_DONE);
	}

	switch ((enum opt_kind)o->kind) {
	case OPT_KIND_BOOL:
		*(bool *)var = o->value;
		return 0;
	case OPT_KIND_BITS:
		*(unsigned int *)var |= o->value;
		return 0;
	case OPT_KIND_TEXT:
	case OPT_KIND_FILE:
	case OPT_KIND_DIR:
		*(const char **)var = arg;
		return 0;
	case OPT_KIND_COUNT:
		return set_count(o, arg, var);
	case OPT_KIND_CHOICE:
		return set_choice(o, arg, var);
	case OPT_KIND_TEXTS:
	case OPT_KIND_DIRS:
		return set_list(o, arg, var);
	}
	return -1;
}

/* --- parsing --------------------------------------------------------------------------------- */

/* Each of these consumes @argv[*i] and, for an argument that stands alone, the next. */
static int parse_long(const struct command *cmd, int argc, char **argv, int *i, void *args)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	const struct opt *o = find_long(cmd, name, len);
	const char *arg = name[len] ? name + len + 1 : NULL;

	if (!o) {
		talk_usage("unknown option --%.*s", (int)len, name);
		return -1;
	}
	if (arg && !o->arg) {
		talk_usage("--%s takes no argument", o->name);
		return -1;
	}
	if (!arg && o->arg) {
		if (++*i >= argc) {
			talk_usage("--%s needs %s", o->name, o->arg);
			return -1;
		}
		arg = argv[*i];
	}
	return set_opt(cmd, o, arg, args);
}

static int parse_short(const struct command *cmd, int argc, char **argv, int *i, void *args)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct opt *o = find_short(cmd, *p);
		const char *arg = p + 1;

		if (!o) {
			talk_usage("unknown option -%c", *p);
			return -1;
		}
		if (!o->arg) {
			if (set_opt(cmd, o, NULL, args) < 0)
				return -1;
			continue;
		}
		if (!*arg) {
			if (++*i >= argc) {
				talk_usage("-%c needs %s", *p, o->arg);
				return -1;
			}
			arg = argv[*i];
		}
		return set_opt(cmd, o, arg, args);
	}
	return 0;
}

/* Returns whether no options come after it. */
static bool add_operand(const struct command *cmd, char **argv, int *nr, char *operand)
{
	argv[++*nr] = operand;
	return *nr == cmd->options_end;
}

int opt_parse(const struct command *cmd, int argc, char **argv, void *args)
{
	int nr = 0;
	bool only_operands = false;
	bool ended = false; /* by `--`, which is then no operand */

	for (int i = 1; i < argc; i++) {
		char *a = argv[i];
		int r = 0;

		/* `--` may stand behind an operand that has ended the options as well. */
		if (!strcmp(a, "--") && !ended && (!only_operands || nr == cmd->options_end))
			only_operands = ended = true;
		else if (only_operands || a[0] != '-' || !a[1])
			only_operands |= add_operand(cmd, argv, &nr, a);
		else if (a[1] == '-')
			r = parse_long(cmd, argc, argv, &i, args);
		else
			r = parse_short(cmd, argc, argv, &i, args);
		if (r < 0)
			return -1;
	}

	if (nr < cmd->min) {
		talk_usage("needs %s", cmd->operands);
		return -1;
	}
	if (cmd->max != OPERANDS_ANY && nr > cmd->max) {
		talk_usage("unexpected operand '%s'", argv[cmd->max + 1]);
		return -1;
	}
	return nr;
}

/* --- help ------------------------------------------------------------------------------------ */

#define HELP_COLUMN 26 /* where the words of an option begin */

static void help_line(const struct opt *o)
{
	const char letter[] = {'-', o->short_name, ',', '\0'};
	const char *arg = o->arg ? o->arg : "";
	size_t width = strlen("  -x, --") + strlen(o->name) + strlen(" ") + strlen(arg);

	out_printf(&out_result, "  %3s --%s %s", o->short_name ? letter : "", o->name, arg);
	if (width >= HELP_COLUMN) {
		out_puts(&out_result, "\n");
		width = 0;
	}
	out_printf(&out_result, "%*s%s\n", (int)(HELP_COLUMN - width), "", o->help);
}

static void group_help(const struct command *group)
{
	out_printf(&out_result, "Usage: cairn %s COMMAND [OPTION]... OPERAND...\n\n%c%s.\n",
		   group->name, group->summary[0] & ~0x20, group->summary + 1);
	if (group->notes)
		out_printf(&out_result, "%s\n", group->notes);
	out_puts(&out_result, "\nCommands:\n");
	for (size_t i = 0; commands[i]; i++) {
		const char *name = command_member(group, commands[i]);

		if (name)
			out_printf(&out_result, "  %-12s%s\n", name, commands[i]->summary);
	}
	out_printf(&out_result, "\n'cairn %s COMMAND -h' tells the options of one.\n", group->name);
}

void opt_help(const struct command *cmd)
{
	const struct opt *o;

	if (!cmd->run) {
		group_help(cmd);
		return;
	}
	out_printf(&out_result, "Usage: cairn %s [OPTION]...%s%s\n\n", cmd->name,
		   *cmd->operands ? " " : "", cmd->operands);
	out_printf(&out_result, "%c%s.\n", cmd->summary[0] & ~0x20, cmd->summary + 1);
	if (cmd->notes)
		out_printf(&out_result, "%s\n", cmd->notes);
	out_puts(&out_result, "\nOptions:\n");
	for (size_t i = 0; (o = opt_at(cmd, i)); i++)
		help_line(o);
	if (cmd->more)
		out_printf(&out_result, "\n%s\n", cmd->more);
}

/* --- audit ----------------------------------------------------------------------------------- */

static void audit_opt(const struct command *cmd, const struct opt *o)
{
	const bool has_arg = o->kind != OPT_KIND_BOOL && o->kind != OPT_KIND_BITS;

	assert(o->help && o->help[0] && o->help[strlen(o->help) - 1] != '.');
	assert(strcspn(o->help, "'\"\\[]$`") == strlen(o->help)); /* shells read it */
	assert(strcspn(o->name, "= ") == strlen(o->name) && o->name[0] != '-');
	assert(has_arg == (o->arg != NULL));
	assert((o->kind == OPT_KIND_CHOICE) == (o->choices != NULL));
	assert(o->kind != OPT_KIND_BITS || o->value);
	assert(o->kind != OPT_KIND_COUNT || o->value);
	assert(find_long(cmd, o->name, strlen(o->name)) == o);
	assert(!o->short_name || find_short(cmd, o->short_name) == o);
}

void opt_audit(const struct command *cmd)
{
	const struct opt *o;

	assert(cmd->name && cmd->summary);
	if (!cmd->run) {
		assert(!cmd->opts && !cmd->operands && !strchr(cmd->name, ' '));
		return;
	}
	assert(cmd->operands && cmd->opts);
	assert(cmd->min <= cmd->max);
	assert(cmd->max || !*cmd->operands);
	assert(!cmd->max || cmd->first);
	for (size_t i = 0; (o = opt_at(cmd, i)); i++)
		audit_opt(cmd, o);
}
