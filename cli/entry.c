/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The row of one name in a tree. */
#include "entry.h"

#include <sys/stat.h>

/* The order of the cells in entry_row(). */
#define KEYS_LS                                                                                    \
	"path", "type", "mode", "nlink", "uid", "gid", "size", "mtime", "target", "object",        \
		"hardlink"
static const char *const keys_ls[] = {KEYS_LS, NULL};
static const char *const keys_dump[] = {KEYS_LS,   "mtime_nsec", "rdev", "digest",
					"content", "xattrs",     NULL};

#define LONG "{mode} {nlink:3} {uid:5} {gid:5} {size:10} {mtime} {path}"

const char *entry_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFREG:
		return "file";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	}
	return "unknown";
}

int entry_row(void *arg, const struct cairn_entry *e)
{
	const enum entry_detail detail = *(const enum entry_detail *)arg;
	const bool link = S_ISLNK(e->mode), file = S_ISREG(e->mode);
	const char *text = link          ? LONG " -> {target}\n"
			   : e->hardlink ? LONG " = {hardlink}\n"
			   : e->payload  ? LONG " @ {object}\n"
					 : LONG "\n";
	const struct cell cells[] = {
		cell_data(e->path, e->path_len),
		cell_word(entry_type(e->mode)),
		cell_mode(e->mode),
		cell_number(e->nlink),
		cell_number(e->uid),
		cell_number(e->gid),
		cell_number(e->size),
		cell_time(e->mtime),
		link ? cell_name(e->payload) : cell_none(),
		file ? cell_name(e->payload) : cell_none(),
		cell_name(e->hardlink),
		cell_number(e->mtime_nsec),
		cell_number(e->rdev),
		cell_digest(&e->digest),
		file ? cell_data(e->content, e->size) : cell_none(),
		cell_xattrs(e->xattrs, e->nr_xattrs),
	};

	out_row(detail == ENTRY_DUMP ? keys_dump : keys_ls, text, cells);
	return out_result.error;
}
