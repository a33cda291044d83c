/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn help: what there is; as JSON the whole table, one row an option. */
#include "cmd.h"

struct args {
	bool json;
};

static const struct opt opts[] = {
	OPT_JSON(struct args, json),
	OPT_END,
};

static void help_all(void)
{
	out_puts(&out_result, "Usage: cairn COMMAND [OPTION]... OPERAND...\n\n"
			      "Verified file system images that share their files.\n\n"
			      "Commands:\n");
	for (size_t i = 0; commands[i]; i++) {
		if (command_member(NULL, commands[i]))
			out_printf(&out_result, "  %-12s%s\n", commands[i]->name,
				   commands[i]->summary);
	}
	out_puts(&out_result,
		 "\n'cairn help COMMAND' or 'cairn COMMAND -h' tells the options of one.\n");
}

static void help_rows(const struct command *cmd)
{
	static const char *const keys[] = {"command", "operands", "option", "short",
					   "arg",     "choices",  "help",   NULL};
	const struct opt *o;

	for (size_t i = 0; (o = opt_at(cmd, i)); i++) {
		const char letter[] = {o->short_name, '\0'};
		const struct cell cells[] = {
			cell_word(cmd->name), cell_word(cmd->operands),
			cell_word(o->name),   cell_word(*letter ? letter : NULL),
			cell_word(o->arg),    cell_word(o->choices),
			cell_word(o->help),
		};

		out_row(keys, "", cells);
	}
}

/* Of one command, of those of a group, or of all. */
static void help_json(const struct command *only)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct command *cmd = commands[i];

		if (cmd->run && (!only || only == cmd || command_member(only, cmd)))
			help_rows(cmd);
	}
}

static int run(const struct command *self, int argc, char **argv)
{
	const struct command *only = NULL;
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a);

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	for (int i = 1; i <= nr; i++) {
		const struct command *cmd = i > 1 && only->run ? NULL : command_find(only, argv[i]);

		if (!cmd)
			return talk_usage("unknown command '%s%s%s'", only ? only->name : "",
					  only ? " " : "", argv[i]);
		only = cmd;
	}

	if (a.json)
		help_json(only);
	else if (only)
		opt_help(only);
	else
		help_all();
	return EXIT_DONE;
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND...]",
	.summary = "tell what there is",
	.opts = opts,
	.max = 2,
	.first = OPERAND_COMMAND,
	.run = run,
};
