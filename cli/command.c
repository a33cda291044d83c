/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding and running commands, those in groups too. */
#include <string.h>

#include "cli.h"

const char *command_member(const struct command *group, const struct command *cmd)
{
	const size_t len = group ? strlen(group->name) : 0;
	const char *name = cmd->name;

	if (group) {
		if (strncmp(name, group->name, len) || name[len] != ' ')
			return NULL;
		name += len + 1;
	}
	return strchr(name, ' ') ? NULL : name;
}

const struct command *command_find(const struct command *group, const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		const char *member = command_member(group, commands[i]);

		if (member && !strcmp(member, name))
			return commands[i];
	}
	return NULL;
}

int command_run(const struct command *cmd, int argc, char **argv)
{
	command_running = cmd;
	if (cmd->run)
		return cmd->run(cmd, argc, argv);

	if (argc < 2)
		return talk_usage("a command is missing");
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		opt_help(cmd);
		return EXIT_DONE;
	}
	cmd = command_find(cmd, argv[1]);
	if (!cmd)
		return talk_usage("unknown command '%s'", argv[1]);
	command_running = cmd;
	return cmd->run(cmd, argc - 1, argv + 1);
}
