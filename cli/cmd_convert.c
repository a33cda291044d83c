/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn convert: a layer's tar as zstd:chunked, of which a pull can fetch single files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cairn/oci.h>

#include "cmd.h"
#include "progress.h"

#define BUFFER_SIZE (256u << 10)
#define PREFIX      "io.github.containers.zstd-chunked."

struct args {
	const char *output;
	unsigned int level;
	bool json, quiet;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "FILE", "where to write it"),
	OPT_COUNT(struct args, level, 'l', "level", 19, "level of zstd (default: 3)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void report(const char *output, const struct cairn_chunked *c)
{
	static const char *const keys[] = {"layer",
					   "digest",
					   "size",
					   "diff_id",
					   "tar_size",
					   "contents",
					   PREFIX "manifest-checksum",
					   PREFIX "manifest-position",
					   PREFIX "tarsplit-position",
					   NULL};
	const struct cell cells[] = {
		cell_name(output),        cell_word(c->digest),       cell_size(c->size),
		cell_word(c->diff_id),    cell_size(c->tar_size),     cell_number(c->files),
		cell_word(c->toc_digest), cell_word(c->toc_position), cell_word(c->split_position),
	};

	out_row(keys,
		"digest    {digest}\n"
		"size      {size}\n"
		"diff_id   {diff_id}\n"
		"contents  {contents}, {tar_size} of tar\n"
		"annotations\n"
		"  " PREFIX "manifest-checksum  {" PREFIX "manifest-checksum}\n"
		"  " PREFIX "manifest-position  {" PREFIX "manifest-position}\n"
		"  " PREFIX "tarsplit-position  {" PREFIX "tarsplit-position}\n",
		cells);
}

/* Opens a file beside @output, which gets the name when it is complete, and whose own name comes into *@ret; or
 * @output itself, if it is a device or a pipe. Returns a descriptor or a negative errno. */
static int open_output(const char *output, char **ret)
{
	struct stat st;
	mode_t mask;
	int fd;

	if (stat(output, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		fd = open(output, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return fd < 0 ? -errno : fd;
	}
	if (asprintf(ret, "%s.cairn-XXXXXX", output) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(*ret, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	mask = umask(0);
	(void)umask(mask);
	(void)fchmod(fd, 0666 & ~mask);
	return fd;
}

static int convert(const struct args *a, const char *input, struct cairn_chunked *ret)
{
	char *temporary cleanup_free = NULL;
	struct out out = {.fd = -1, .size = BUFFER_SIZE};
	struct cairn_error err = {0};
	struct progress progress;
	int fd cleanup_fd = open(input, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return talk_error(-errno, NULL, input);
	out.fd = open_output(a->output, &temporary);
	if (out.fd < 0)
		return talk_error(out.fd, NULL, a->output);
	out.data = malloc(BUFFER_SIZE);
	interrupt_hold();
	progress_start(&progress, &progress_stderr, "converting", "files", a->quiet);
	r = out.data ? cairn_layer_convert(fd, (int)a->level, out_write, &out, progress_tick,
					   &progress, ret, &err)
		     : -ENOMEM;
	progress_stop(&progress);
	if (r == 0)
		r = out_flush(&out);
	if (r == 0 && temporary && rename(temporary, a->output) < 0)
		r = -errno;
	if (r < 0 && temporary)
		unlink(temporary);
	close(out.fd);
	free(out.data);
	interrupt_release();
	if (out.error)
		return talk_error(out.error, NULL, a->output);
	return r < 0 ? talk_error(r, &err, input) : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_chunked chunked;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.output)
		return talk_usage("--output is missing");
	status = convert(&a, argv[1], &chunked);
	if (status == EXIT_DONE)
		report(a.output, &chunked);
	return status;
}

const struct command cmd_convert = {
	.name = "convert",
	.operands = "FILE.tar -o FILE.tar.zst",
	.summary = "make a zstd:chunked layer of a tar archive",
	.notes = "Prints what the manifest has to say of it.",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run,
};
