/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The mounts of images that are there, out of the kernel's table of this mount namespace. Nothing else is
 * asked: a list of our own would be wrong after a crash, in another namespace, or beside other tools.
 *
 * A line (proc_pid_mountinfo(5)):
 *	ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [TAG…] - TYPE SOURCE SUPER-OPTIONS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "mount/mount-internal.h"

#define TABLE_MAX  (256u << 20) /* 100,000 mounts (fs.mount-max) of 2 KiB */
#define STORES_MAX 500          /* overlayfs takes no more layers */

/* Takes "\040" and the like out, in place. */
static char *unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return text;
}

/* What overlayfs tells about itself. */
struct overlay {
	bool verity, userxattr, upper;
	const char *stores[STORES_MAX];
	size_t nr_stores;
};

static void add_store(struct overlay *o, const char *path)
{
	if (o->nr_stores < STORES_MAX)
		o->stores[o->nr_stores++] = path;
}

/* The value of lowerdir= from before 6.7: the image, then the stores behind ":" or "::"; a backslash
 * makes the next character literal. */
static void parse_lowers(struct overlay *o, char *list)
{
	char *to = list, *begin = list;
	bool first = true;

	for (const char *p = list;; p++) {
		if (*p == '\\' && p[1]) {
			*to++ = *++p;
			continue;
		}
		if (*p && *p != ':') {
			*to++ = *p;
			continue;
		}
		const bool end = *p == '\0';

		*to++ = '\0';
		if (!first && *begin)
			add_store(o, begin);
		first = false;
		begin = to;
		if (end)
			return;
	}
}

static void parse_overlay(struct overlay *o, char *options)
{
	char *save = NULL;

	for (char *word = strtok_r(options, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		unescape(word);
		if (strcmp(word, "verity=require") == 0)
			o->verity = true;
		else if (strcmp(word, "userxattr") == 0)
			o->userxattr = true;
		else if (strncmp(word, "upperdir=", 9) == 0)
			o->upper = true;
		else if (strncmp(word, "datadir+=", 9) == 0)
			add_store(o, word + 9);
		else if (strncmp(word, "lowerdir=", 9) == 0)
			parse_lowers(o, word + 9);
	}
}

/* One line without its end. Returns what @fn returned, or 0 when the mount is none of ours. */
static int list_line(char *line, cairn_mounted_fn fn, void *arg)
{
	struct cairn_mounted m = {0};
	struct overlay o = {0};
	char *rest = strstr(line, " - "), *save = NULL;
	char *field[6], *type, *source, *options;

	if (!rest)
		return 0;
	*rest = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return 0;
	}
	type = strtok_r(rest + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!type || !source || !options ||
	    sscanf(field[2], "%u:%u", &m.dev_major, &m.dev_minor) != 2)
		return 0;

	m.type = type;
	m.source = unescape(source);
	m.target = unescape(field[4]);
	if (strcmp(type, "overlay") == 0) {
		parse_overlay(&o, options);
		m.backend = o.userxattr ? "overlay" : "kernel";
		m.stores = o.stores;
		m.nr_stores = o.nr_stores;
		m.writable = o.upper;
		if (!source_parse(source, o.verity, &m))
			return 0;
	} else if (strcmp(type, "fuse.cairn") == 0) {
		m.backend = "fuse";
		/* A server checks at every read, unless it says that it does not. */
		(void)source_parse(source, false, &m);
		m.state = strstr(source, ":unverified") ? CAIRN_UNVERIFIED : CAIRN_CHECKED;
	} else {
		return 0;
	}
	return fn(arg, &m);
}

int mount_list_text(char *text, cairn_mounted_fn fn, void *arg)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = list_line(line, fn, arg);
	return r;
}

int mount_list(cairn_mounted_fn fn, void *arg, struct cairn_error *err)
{
	cleanup_fd int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	cleanup_buf struct buf b = BUF_INIT(TABLE_MAX);
	int r;

	if (fd < 0)
		return error_errno(err, -errno, "open /proc/self/mountinfo");
	for (;;) {
		ssize_t n;

		r = buf_reserve(&b, 65536);
		if (r < 0)
			return error_errno(err, r, "/proc/self/mountinfo");
		n = read(fd, b.data + b.len, 65535);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, -errno, "read /proc/self/mountinfo");
		if (n == 0)
			break;
		b.len += (size_t)n;
	}
	b.data[b.len] = '\0';
	return mount_list_text(b.data, fn, arg);
}
