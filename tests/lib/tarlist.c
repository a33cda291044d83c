/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * tarlist ARCHIVE...: what the reader of tar sees in each, for comparing it with other readers. A line an
 * entry, fields parted by spaces, bytes in hexadecimal:
 *
 *	type path target mode uid gid mtime nsec size major minor checksum xattr=value...
 *
 * then `end`, or `error: …`. The checksum is FNV-1a of the content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tar/tar.h"

struct list {
	uint64_t sum;
	bool open; /* a line that waits for the checksum of a content */
};

static void put_hex(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", (unsigned char)data[i]);
}

static void end_line(struct list *l)
{
	if (l->open)
		printf(" %016" PRIx64 "\n", l->sum);
	l->open = false;
}

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct list *l = arg;

	end_line(l);
	/* As the layer's rules have it. */
	if (e->flags & TAR_BAD_FRACTION) {
		snprintf(err->text, sizeof(err->text), "bad fraction");
		return -1;
	}
	printf("%c ", e->flags & TAR_OLD_DIRECTORY ? '5' : e->type);
	put_hex(e->path, e->path_len);
	printf(" =");
	put_hex(e->target, e->target_len);
	printf(" %o %u %u %" PRId64 " %u %" PRIu64 " %u %u", e->mode, e->uid, e->gid, e->mtime,
	       e->mtime_nsec, e->size, e->major, e->minor);
	for (size_t i = 0; i < e->nr_xattrs; i++) {
		putchar(' ');
		put_hex(e->xattrs[i].name, e->xattrs[i].name_len);
		putchar('=');
		put_hex(e->xattrs[i].value, e->xattrs[i].value_len);
	}
	l->sum = 0xcbf29ce484222325;
	l->open = true;
	return 0;
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct list *l = arg;

	(void)err;
	(void)end;
	for (size_t i = 0; i < size; i++)
		l->sum = (l->sum ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
	return 0;
}

static int list(const char *name)
{
	struct list l = {0};
	const struct tar_handler handler = {NULL, on_entry, on_content, &l};
	struct cairn_error err = {0};
	struct tar_reader *r;
	FILE *f = fopen(name, "re");
	char data[4096];
	size_t n;
	int code = 0;

	if (!f || tar_reader_new(&handler, &r) < 0)
		return 1;
	while (!code && (n = fread(data, 1, sizeof(data), f)) > 0)
		code = tar_reader_feed(r, data, n, &err);
	if (!code)
		code = tar_reader_finish(r, &err);
	end_line(&l);
	if (code < 0)
		printf("error: %s\n", err.text);
	else
		printf("end\n");
	tar_reader_free(r);
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (list(argv[i]))
			return 1;
	return 0;
}
