/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The mount calls of Linux 5.2 and later, with the kernel's own words.
 *
 *	fsopen, fsconfig, fsmount, move_mount, open_tree	5.2
 *	mount_setattr						5.12
 */
#include "sys/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 512 /* bytes of one message; the kernel's own are a line */

/* Appends one message of the kernel, which looks like "e erofs: cannot find valid superblock". */
static void add_words(char *words, size_t size, const char *message, size_t len)
{
	size_t used = strlen(words);

	while (len && (message[len - 1] == '\n' || message[len - 1] == '.'))
		len--;
	snprintf(words + used, size - used, "%s%.*s", used ? "; " : "", (int)len, message);
}

/* What the kernel has to say: its errors, or where it left none its warnings. Each read takes one
 * message off the queue; the last one fails with ENODATA. */
static void kernel_words(int fs, char *words, size_t size)
{
	char warnings[CAIRN_ERROR_TEXT_MAX] = "";
	char message[MESSAGE_MAX];
	ssize_t n;

	words[0] = '\0';
	for (;;) {
		n = read(fs, message, sizeof(message));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EMSGSIZE) /* longer than any known one: it is dropped */
			continue;
		if (n <= 2)
			break;
		if (message[0] == 'e')
			add_words(words, size, message + 2, (size_t)n - 2);
		else if (message[0] == 'w')
			add_words(warnings, sizeof(warnings), message + 2, (size_t)n - 2);
	}
	if (!words[0])
		snprintf(words, size, "%s", warnings);
}

/* The sentence of a refused step on @fs. */
static int refused(int fs, int code, struct cairn_error *err, const char *step, const char *value)
{
	char words[CAIRN_ERROR_TEXT_MAX];

	/* Also without @err: they belong to this step, not to the next one that fails. */
	kernel_words(fs, words, sizeof(words));
	return error_errno(err, code, "%s%s%s%s%s", step, value ? "=" : "", value ? value : "",
			   words[0] ? ": " : "", words);
}

int fs_open(const char *type, struct cairn_error *err)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0 && errno == ENODEV)
		return error_set(err, -ENODEV, CAIRN_ERROR_UNSUPPORTED,
				 "this kernel has no file system %s (is the module there?)", type);
	if (fs < 0)
		return error_errno(err, -errno, "fsopen %s", type);
	return fs;
}

int fs_set_flag(int fs, const char *key, struct cairn_error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0)
		return refused(fs, -errno, err, key, NULL);
	return 0;
}

int fs_set_string(int fs, const char *key, const char *value, struct cairn_error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return refused(fs, -errno, err, key, value);
	return 0;
}

int fs_set_fd(int fs, const char *key, int fd, struct cairn_error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) < 0)
		return refused(fs, -errno, err, key, "<descriptor>");
	return 0;
}

int fs_create(int fs, struct cairn_error *err)
{
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return refused(fs, -errno, err, "create", NULL);
	return 0;
}

int fs_reconfigure(int fs, struct cairn_error *err)
{
	if (fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return refused(fs, -errno, err, "reconfigure", NULL);
	return 0;
}

int fs_mount(int fs, unsigned int attrs, struct cairn_error *err)
{
	int mnt = fsmount(fs, FSMOUNT_CLOEXEC, attrs);

	if (mnt < 0)
		return refused(fs, -errno, err, "fsmount", NULL);
	return mnt;
}

int mount_clone(const char *path, struct cairn_error *err)
{
	int mnt = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (mnt < 0)
		return error_errno(err, -errno, "open_tree %s", path);
	return mnt;
}

int mount_set_attrs(int mnt, unsigned long long attrs, struct cairn_error *err)
{
	struct mount_attr attr = {.attr_set = attrs};

	/* atime is a field, not a bit: what was there must be cleared to set another value. */
	if (attrs & MOUNT_ATTR__ATIME)
		attr.attr_clr = MOUNT_ATTR__ATIME;
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_errno(err, -errno, "mount_setattr");
	return 0;
}

int mount_idmap(int mnt, int userns_fd, struct cairn_error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (unsigned int)userns_fd,
	};

	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_errno(err, -errno, "mount_setattr idmap");
	return 0;
}

int mount_attach(int mnt, int target_fd, struct cairn_error *err)
{
	if (move_mount(mnt, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return error_errno(err, -errno, "move_mount");
	return 0;
}
