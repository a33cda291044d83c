/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn completion: the option tables as a completion script for a shell. */
#include "cmd.h"

static const struct opt opts[] = {
	OPT_END,
};

static void put(const char *text)
{
	out_puts(&out_result, text);
}

/* "a|b" as "a b" */
static void put_words(const char *choices)
{
	for (const char *p = choices; *p; p++)
		out_put(&out_result, *p == '|' ? " " : p, 1);
}

/* The members of @group; NULL: what comes first on a command line. */
static void put_commands(const struct command *group)
{
	for (size_t i = 0; commands[i]; i++) {
		const char *name = command_member(group, commands[i]);

		if (name)
			out_printf(&out_result, "%s ", name);
	}
}

static enum operand_kind operand_of(const struct opt *o)
{
	switch ((enum opt_kind)o->kind) {
	case OPT_KIND_FILE:
		return OPERAND_FILE;
	case OPT_KIND_DIR:
	case OPT_KIND_DIRS:
		return OPERAND_DIR;
	default:
		return OPERAND_NONE;
	}
}

/* --- bash ------------------------------------------------------------------------------------ */

static const char bash_head[] =
	"# Completion of cairn(1) for bash, made by `cairn completion bash`.\n"
	"\n"
	"_cairn_files()\n"
	"{\n"
	"	compopt -o filenames\n"
	"	mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$2\")\n"
	"}\n"
	"\n"
	"_cairn_words()\n"
	"{\n"
	"	mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$2\")\n"
	"}\n"
	"\n"
	"_cairn()\n"
	"{\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"	local cmd=${COMP_WORDS[1]} words=2 group='' opts='' first='' others='' i nr=0\n"
	"\n"
	"	COMPREPLY=()\n"
	"	if [[ $cur == = ]]; then\n"
	"		cur=''\n"
	"	elif [[ $prev == = ]]; then\n"
	"		prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"	fi\n"
	"	if ((COMP_CWORD == 1)); then\n"
	"		_cairn_words '";

static const char bash_group[] = "	if [[ -n $group ]]; then\n"
				 "		if ((COMP_CWORD == 2)); then\n"
				 "			_cairn_words \"$group\" \"$cur\"\n"
				 "			return\n"
				 "		fi\n"
				 "		cmd+=\" ${COMP_WORDS[2]}\"\n"
				 "		words=3\n"
				 "	fi\n";

static const char bash_tail[] = "	if [[ $cur == -* ]]; then\n"
				"		_cairn_words \"$opts\" \"$cur\"\n"
				"		return\n"
				"	fi\n"
				"	for ((i = words; i < COMP_CWORD; i++)); do\n"
				"		[[ ${COMP_WORDS[i]} == -* ]] || ((nr++))\n"
				"	done\n"
				"	((nr)) || others=$first\n"
				"	case $others in\n"
				"	-*) _cairn_files \"$others\" \"$cur\" ;;\n"
				"	?*) _cairn_words \"$others\" \"$cur\" ;;\n"
				"	esac\n"
				"}\n"
				"\n"
				"complete -F _cairn cairn\n";

static void bash_argument(const struct command *cmd, const struct opt *o)
{
	out_printf(&out_result, "	'%s:--%s'", cmd->name, o->name);
	if (o->short_name)
		out_printf(&out_result, " | '%s:-%c'", cmd->name, o->short_name);
	put(")\n");
	switch (operand_of(o)) {
	case OPERAND_FILE:
		put("		_cairn_files -f \"$cur\"\n");
		break;
	case OPERAND_DIR:
		put("		_cairn_files -d \"$cur\"\n");
		break;
	default:
		if (o->choices) {
			put("		_cairn_words '");
			put_words(o->choices);
			put("' \"$cur\"\n");
		}
	}
	put("		return\n		;;\n");
}

static void bash_operand(const char *name, enum operand_kind kind)
{
	if (kind == OPERAND_NONE)
		return;
	out_printf(&out_result, "		%s='", name);
	switch (kind) {
	case OPERAND_FILE:
		put("-f");
		break;
	case OPERAND_DIR:
		put("-d");
		break;
	case OPERAND_COMMAND:
		put_commands(NULL);
		break;
	default:
		put("bash zsh fish");
	}
	put("'\n");
}

static void bash_command(const struct command *cmd)
{
	const struct opt *o;

	out_printf(&out_result, "	'%s')\n		opts='", cmd->name);
	for (size_t i = 0; (o = opt_at(cmd, i)); i++)
		out_printf(&out_result, "%s--%s", i ? " " : "", o->name);
	put("'\n");
	bash_operand("first", cmd->first);
	bash_operand("others", cmd->others);
	put("		;;\n");
}

static void complete_bash(void)
{
	const struct opt *o;

	put(bash_head);
	put_commands(NULL);
	put("' \"$cur\"\n		return\n	fi\n	case $cmd in\n");
	for (size_t c = 0; commands[c]; c++) {
		if (commands[c]->run)
			continue;
		out_printf(&out_result, "	%s) group='", commands[c]->name);
		put_commands(commands[c]);
		put("' ;;\n");
	}
	put("	esac\n");
	put(bash_group);
	put("\n	case $cmd:$prev in\n");
	for (size_t c = 0; commands[c]; c++) {
		for (size_t i = 0; (o = opt_at(commands[c], i)); i++) {
			if (o->arg)
				bash_argument(commands[c], o);
		}
	}
	put("	esac\n\n	case $cmd in\n");
	for (size_t c = 0; commands[c]; c++) {
		if (commands[c]->run)
			bash_command(commands[c]);
	}
	put("	esac\n\n");
	put(bash_tail);
}

/* --- zsh ------------------------------------------------------------------------------------- */

static void zsh_action(enum operand_kind kind, const char *choices)
{
	switch (kind) {
	case OPERAND_FILE:
		put("_files");
		break;
	case OPERAND_DIR:
		put("_files -/");
		break;
	case OPERAND_COMMAND:
		put("(");
		put_commands(NULL);
		put(")");
		break;
	case OPERAND_SHELL:
		put("(bash zsh fish)");
		break;
	case OPERAND_NONE:
		if (choices) {
			put("(");
			put_words(choices);
			put(")");
		}
	}
}

static void zsh_option(const struct opt *o)
{
	const bool repeated = o->kind == OPT_KIND_TEXTS || o->kind == OPT_KIND_DIRS;
	const char *sign = o->arg ? "=" : "";

	put("			");
	if (repeated)
		put("'*'");
	else if (o->short_name)
		out_printf(&out_result, "'(-%c --%s)'", o->short_name, o->name);
	if (o->short_name)
		out_printf(&out_result, "{-%c%s,--%s%s}", o->short_name, o->arg ? "+" : "", o->name,
			   sign);
	else
		out_printf(&out_result, "--%s%s", o->name, sign);
	out_printf(&out_result, "'[%s]", o->help);
	if (o->arg) {
		out_printf(&out_result, ":%s:", o->arg);
		zsh_action(operand_of(o), o->choices);
	}
	put("' \\\n");
}

static void zsh_command(const char *name, const struct command *cmd)
{
	const struct opt *o;

	out_printf(&out_result, "	%s)\n		_arguments -s -S \\\n", name);
	for (size_t i = 0; (o = opt_at(cmd, i)); i++)
		zsh_option(o);
	put("			'1: :");
	zsh_action(cmd->first, NULL);
	put("' \\\n			'*: :");
	zsh_action(cmd->others, NULL);
	put("'\n		;;\n");
}

static void zsh_group(const struct command *group);

/* A choice among the members of @group, and what each of them does. */
static void zsh_choice(const struct command *group)
{
	const char *name;

	put("	commands=(\n");
	for (size_t i = 0; commands[i]; i++) {
		name = command_member(group, commands[i]);
		if (name)
			out_printf(&out_result, "		'%s:%s'\n", name,
				   commands[i]->summary);
	}
	put("	)\n	if ((CURRENT == 2)); then\n		_describe command commands\n"
	    "		return\n	fi\n	cmd=$words[2]\n	shift words\n	((CURRENT--))\n"
	    "	case $cmd in\n");
	for (size_t i = 0; commands[i]; i++) {
		name = command_member(group, commands[i]);
		if (name && commands[i]->run)
			zsh_command(name, commands[i]);
		else if (name)
			zsh_group(commands[i]);
	}
	put("	esac\n");
}

static void zsh_group(const struct command *group)
{
	out_printf(&out_result, "	%s)\n", group->name);
	zsh_choice(group);
	put("		;;\n");
}

static void complete_zsh(void)
{
	put("#compdef cairn\n"
	    "# Completion of cairn(1) for zsh, made by `cairn completion zsh`.\n\n"
	    "_cairn()\n{\n	local cmd\n	local -a commands\n\n");
	zsh_choice(NULL);
	put("}\n\n_cairn \"$@\"\n");
}

/* --- fish ------------------------------------------------------------------------------------ */

/* Whether the command line begins with these words, and whether nothing else stands before the word
 * that is completed. */
static const char fish_head[] =
	"# Completion of cairn(1) for fish, made by `cairn completion fish`.\n\n"
	"function __fish_cairn_is\n"
	"	set -l words (commandline -opc)\n"
	"	test \"$words[2..(math 1 + (count $argv))]\" = \"$argv\"\n"
	"end\n\n"
	"function __fish_cairn_at\n"
	"	set -l words (commandline -opc)\n"
	"	test \"$words[2..]\" = \"$argv\"\n"
	"end\n\n";

static void fish_choice(const struct command *group)
{
	for (size_t i = 0; commands[i]; i++) {
		const char *name = command_member(group, commands[i]);

		if (name)
			out_printf(&out_result,
				   "complete -c cairn -n '__fish_cairn_at%s%s' -f -a %s -d '%s'\n",
				   group ? " " : "", group ? group->name : "", name,
				   commands[i]->summary);
	}
}

static void fish_option(const struct command *cmd, const struct opt *o)
{
	const enum operand_kind kind = operand_of(o);

	out_printf(&out_result, "complete -c cairn -n '__fish_cairn_is %s' -l %s", cmd->name,
		   o->name);
	if (o->short_name)
		out_printf(&out_result, " -s %c", o->short_name);
	if (kind == OPERAND_FILE) {
		put(" -r -F");
	} else if (kind == OPERAND_DIR) {
		put(" -x -a '(__fish_complete_directories)'");
	} else if (o->choices) {
		put(" -x -a '");
		put_words(o->choices);
		put("'");
	} else if (o->arg) {
		put(" -x");
	}
	out_printf(&out_result, " -d '%s'\n", o->help);
}

static void fish_operand(const struct command *cmd)
{
	if (cmd->first == OPERAND_FILE)
		return; /* fish offers files by itself */
	out_printf(&out_result, "complete -c cairn -n '__fish_cairn_is %s' -f", cmd->name);
	switch ((enum operand_kind)cmd->first) {
	case OPERAND_DIR:
		put(" -a '(__fish_complete_directories)'");
		break;
	case OPERAND_COMMAND:
		put(" -a '");
		put_commands(NULL);
		put("'");
		break;
	case OPERAND_SHELL:
		put(" -a 'bash zsh fish'");
		break;
	default:
		break;
	}
	put("\n");
}

static void complete_fish(void)
{
	put(fish_head);
	fish_choice(NULL);
	for (size_t c = 0; commands[c]; c++) {
		const struct opt *o;

		put("\n");
		if (!commands[c]->run) {
			fish_choice(commands[c]);
			continue;
		}
		fish_operand(commands[c]);
		for (size_t i = 0; (o = opt_at(commands[c], i)); i++)
			fish_option(commands[c], o);
	}
}

/* --- the command ----------------------------------------------------------------------------- */

static int run(const struct command *self, int argc, char **argv)
{
	char args = 0;

	if (opt_parse(self, argc, argv, &args) < 0)
		return EXIT_USAGE;
	if (!strcmp(argv[1], "bash"))
		complete_bash();
	else if (!strcmp(argv[1], "zsh"))
		complete_zsh();
	else if (!strcmp(argv[1], "fish"))
		complete_fish();
	else
		return talk_usage("bash, zsh or fish, not '%s'", argv[1]);
	return EXIT_DONE;
}

const struct command cmd_completion = {
	.name = "completion",
	.operands = "SHELL",
	.summary = "print the completion script for bash, zsh or fish",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_SHELL,
	.run = run,
};
