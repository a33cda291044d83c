/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What can be relied on where.
 *
 *	fstatfs
 *	statx(STATX_MNT_ID_UNIQUE)		6.8
 *	ioctl(FS_IOC_GETFSUUID)			6.9
 *	close_range(CLOSE_RANGE_UNSHARE)	5.9
 */
#include "sys/place.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "sys/io.h"

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

/* Newer than the headers that we build with. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

/* The kernel's struct fsuuid2. */
struct uuid_answer {
	uint8_t len;
	uint8_t uuid[16];
};
#define GET_UUID _IOR(0x15, 0, struct uuid_answer)

static uint64_t unique_mount(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &stx) < 0 ||
	    !(stx.stx_mask & STATX_MNT_ID_UNIQUE))
		return 0;
	return stx.stx_mnt_id;
}

/* Half of the UUID against the other; 0: there is none. */
static uint64_t uuid_of(int fd)
{
	struct uuid_answer answer = {0};
	uint64_t half[2];

	if (ioctl(fd, GET_UUID, &answer) < 0 || answer.len != sizeof(answer.uuid))
		return 0;
	memcpy(half, answer.uuid, sizeof(half));
	return half[0] ^ (half[1] << 1 | half[1] >> 63);
}

bool place_identify(int fd, struct place_id *ret)
{
	struct statfs st;
	uint64_t fsid;

	if (fstatfs(fd, &st) < 0)
		return false;
	memcpy(&fsid, &st.f_fsid, sizeof(fsid));
	*ret = (struct place_id){.type = (uint32_t)st.f_type, .mount = unique_mount(fd)};
	switch (ret->type) {
	case EXT4_SUPER_MAGIC:  /* also ext2 and ext3 */
	case BTRFS_SUPER_MAGIC: /* with the number of the subvolume in it */
	case BCACHEFS_MAGIC:
	case ZFS_MAGIC:
	case TMPFS_MAGIC:
		ret->identity = fsid;
		break;
	case XFS_SUPER_MAGIC: /* f_fsid is the number of the device */
	case F2FS_SUPER_MAGIC:
		ret->identity = uuid_of(fd);
		break;
	case OVERLAYFS_SUPER_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case SQUASHFS_MAGIC:
		break;
	default:
		return false;
	}
	ret->lasting = ret->identity != 0;
	return ret->lasting || ret->mount;
}

void place_boot(char out[PLACE_BOOT_MAX])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	memset(out, 0, PLACE_BOOT_MAX);
	if (fd >= 0) {
		n = read_full(fd, out, PLACE_BOOT_MAX - 1);
		close(fd);
	}
	if (n <= 0)
		out[0] = '\0';
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
