/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * cairn(1): the table of subcommands and the way into them.
 *
 * Nothing is done here that the command did not ask for: a command starts in a millisecond.
 */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "cmd.h"
#include "registry.h"

/* In the order of the help; the members of a group stand behind it. */
const struct command *const commands[] = {
	/* clang-format off */
	&cmd_build,
	&cmd_digest,
	&cmd_mount,
	&cmd_umount,
	&cmd_mounts,
	&cmd_run,
	&cmd_bundle,
	&cmd_features,
	&cmd_ls,
	&cmd_dump,
	&cmd_objects,
	&cmd_missing,
	&cmd_cat,
	&cmd_export_dir,
	&cmd_tar,
	&cmd_diff,
	&cmd_check,
	&cmd_measure,
	&cmd_images,
	&cmd_refs,
	&cmd_tag,
	&cmd_untag,
	&cmd_fsck,
	&cmd_gc,
	&cmd_store,
	&cmd_store_init,
	&cmd_store_info,
	&cmd_store_parents,
	&cmd_du,
	&cmd_copy,
	&cmd_fetch,
	&cmd_export,
	&cmd_pull,
	&cmd_push,
	&cmd_convert,
	&cmd_oci,
	&cmd_oci_digest,
	&cmd_oci_export,
	&cmd_oci_inspect,
	&cmd_oci_layers,
	&cmd_oci_ls,
	&cmd_oci_seal,
	&cmd_oci_verify,
	&cmd_oci_merge,
	&cmd_oci_commit,
	&cmd_version,
	&cmd_help,
	&cmd_completion,
	NULL,
	/* clang-format on */
};

static const struct command *find_or_alias(const char *word)
{
	if (!strcmp(word, "-h") || !strcmp(word, "--help"))
		return &cmd_help;
	if (!strcmp(word, "--version"))
		return &cmd_version;
	return command_find(NULL, word);
}

/* A full disk under standard output must not look like success. */
static int finish(int status)
{
	int r = out_flush(&out_result);

	if (r < 0 && status == EXIT_DONE) {
		talk("standard output: %s", strerror(-r));
		status = EXIT_FAILED;
	}
	out_flush(&out_talk);
	return status;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	int status;

#ifndef NDEBUG
	for (size_t i = 0; commands[i]; i++)
		opt_audit(commands[i]);
#endif
	if (argc < 2)
		return talk_usage("a command is missing");

	cmd = find_or_alias(argv[1]);
	if (!cmd)
		return talk_usage("unknown command '%s'", argv[1]);
	status = command_run(cmd, argc - 1, argv + 1);
	registry_tell_warnings();
	return finish(status);
}
