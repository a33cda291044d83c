/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* composefs-dump: reads an image and writes it again in the format that its header names. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>

#include "common.h"

static _Noreturn void die_usage(const char *argv0, const char *message)
{
	fprintf(stderr, "%s\nusage: %s SRC DEST\n", message, argv0);
	exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	cleanup(tree) struct cairn_tree *tree = NULL;
	struct cairn_image_options options = {.write = write_to_fd, .compat = 1};
	struct cairn_image_result result;
	cleanup_fd int src = -1;
	int dest, code;

	if (argc < 2)
		die_usage(argv[0], "No source path specified");
	if (argc < 3)
		die_usage(argv[0], "No destination path specified");

	src = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (src < 0)
		err(EXIT_FAILURE, "Failed to open '%s'", argv[1]);
	options.format = cairn_image_probe(src);
	if (options.format < 0)
		die_code(options.format, "Failed to get image version '%s'", argv[1]);
	code = cairn_tree_from_image(src, CAIRN_LOAD_COMPAT, 1, NULL, &tree, NULL);
	if (code < 0)
		die_code(code, "Failed to load '%s'", argv[1]);

	dest = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (dest < 0)
		err(EXIT_FAILURE, "failed to open '%s'", argv[2]);
	options.write_arg = &dest;
	code = cairn_image_write(tree, &options, &result, NULL);
	if (code < 0)
		die_code(code, "cannot write file");
	if (close(dest))
		err(EXIT_FAILURE, "cannot write file");
	return EXIT_SUCCESS;
}
