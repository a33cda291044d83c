/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What can be relied on where.
 *
 *	fstatfs
 *	close_range(CLOSE_RANGE_UNSHARE)	5.9
 */
#include "sys/place.h"

#include <limits.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* Not in <linux/magic.h>. */
#define BCACHEFS_MAGIC 0xca451a4eu
#define ZFS_MAGIC      0x2fc12fc1u

bool place_is_ordinary(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	switch ((unsigned int)st.f_type) {
	case EXT4_SUPER_MAGIC: /* also ext2 and ext3 */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case BCACHEFS_MAGIC:
	case ZFS_MAGIC:
	case TMPFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case SQUASHFS_MAGIC:
		return true;
	default:
		return false;
	}
}

static int close_between(unsigned int first, unsigned int last, unsigned int flags)
{
	return first > last ? 0 : (int)syscall(SYS_close_range, first, last, flags);
}

/* Lowest of the descriptors to keep that is at least @from; UINT_MAX: none. */
static unsigned int next_kept(const int *keep, unsigned int nr, unsigned int from)
{
	unsigned int lowest = UINT_MAX;

	for (unsigned int i = 0; i < nr; i++)
		if ((unsigned int)keep[i] >= from && (unsigned int)keep[i] < lowest)
			lowest = (unsigned int)keep[i];
	return lowest;
}

/* The thread sanitizer takes a descriptor's number for the same file in every thread. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ONE_TABLE 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define ONE_TABLE 1
#endif
#ifndef ONE_TABLE
#define ONE_TABLE 0
#endif

void place_own_descriptors(const int *keep, unsigned int nr)
{
	unsigned int highest = STDERR_FILENO;
	unsigned int at = STDERR_FILENO + 1;

	/* First what is above all of them, so that it is not even copied. */
	for (unsigned int i = 0; i < nr; i++)
		highest = MAX(highest, (unsigned int)keep[i]);
	if (ONE_TABLE || close_between(highest + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) < 0)
		return;
	while (at <= highest) {
		unsigned int kept = next_kept(keep, nr, at);

		(void)close_between(at, kept - 1, 0);
		at = kept + 1;
	}
}
