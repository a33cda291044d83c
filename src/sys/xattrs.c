/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Extended attributes.
 *
 *	of an open file		flistxattr, fgetxattr: no path to walk, the cheapest of all
 *	of a name in a directory	listxattrat, getxattrat	6.13
 *				else llistxattr, lgetxattr of /proc/thread-self/fd/N/NAME
 */
#include "sys/xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Newer than the libraries that we build with. The numbers are the same on every architecture that
 * numbers from the common table. */
#ifndef __alpha__
#ifndef SYS_getxattrat
#define SYS_getxattrat 464
#endif
#ifndef SYS_listxattrat
#define SYS_listxattrat 465
#endif
#endif

/* The kernel's struct xattr_args. */
struct value_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size;
	uint32_t flags;
};

#ifdef SYS_getxattrat

/* Set once a call was refused: too old a kernel, or a filter that does not know the call. */
static atomic_bool no_calls;

static bool refused(ssize_t n)
{
	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return false;
	atomic_store_explicit(&no_calls, true, memory_order_relaxed);
	return true;
}

static bool have_calls(void)
{
	return !atomic_load_explicit(&no_calls, memory_order_relaxed);
}

static ssize_t list_at(const struct xattr_place *place, char *names, size_t size)
{
	return syscall(SYS_listxattrat, place->fd, place->name, AT_SYMLINK_NOFOLLOW, names, size);
}

static ssize_t get_at(const struct xattr_place *place, const char *attribute, void *value,
		      size_t size)
{
	struct value_args args = {.value = (uintptr_t)value, .size = (uint32_t)size};

	return syscall(SYS_getxattrat, place->fd, place->name, AT_SYMLINK_NOFOLLOW, attribute,
		       &args, sizeof(args));
}

#else

static bool refused(ssize_t n)
{
	return n < 0;
}

static bool have_calls(void)
{
	return false;
}

#define list_at(place, names, size)           (-1)
#define get_at(place, attribute, value, size) (-1)

#endif

/* Safe against links: the way leads through our own descriptor to a single component. */
#define PROC_NAME_MAX 320
static void proc_name(char path[PROC_NAME_MAX], const struct xattr_place *place)
{
	snprintf(path, PROC_NAME_MAX, "/proc/thread-self/fd/%d/%s", place->fd, place->name);
}

ssize_t xattr_list_names(const struct xattr_place *place, char *names, size_t size)
{
	char path[PROC_NAME_MAX];
	ssize_t n;

	if (!place->name) {
		n = flistxattr(place->fd, names, size);
		return n < 0 ? -errno : n;
	}
	if (have_calls()) {
		n = list_at(place, names, size);
		if (!refused(n))
			return n < 0 ? -errno : n;
	}
	proc_name(path, place);
	n = llistxattr(path, names, size);
	return n < 0 ? -errno : n;
}

ssize_t xattr_get_value(const struct xattr_place *place, const char *attribute, void *value,
			size_t size)
{
	char path[PROC_NAME_MAX];
	ssize_t n;

	if (!place->name) {
		n = fgetxattr(place->fd, attribute, value, size);
		return n < 0 ? -errno : n;
	}
	if (have_calls()) {
		n = get_at(place, attribute, value, size);
		if (!refused(n))
			return n < 0 ? -errno : n;
	}
	proc_name(path, place);
	n = lgetxattr(path, attribute, value, size);
	return n < 0 ? -errno : n;
}
