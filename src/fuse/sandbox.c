/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What a server gives up before it looks at the first byte of an image.
 *
 *	no_new_privs	nothing that it starts gets more rights		Linux 3.5
 *	capabilities	none, but for reading the objects' directories, and for passthrough
 *	Landlock	files: only the stores' objects, read, and trees	5.13
 *	seccomp		calls: only those in the table below		3.17
 *
 * So an image that finds a fault in the reader finds a process that has the image, the objects, and the
 * answers to the kernel. What was opened before stays usable: the device, the image.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fuse/server-internal.h"

/* --- files ---------------------------------------------------------------------------------------- */

/* Every right over files that the first version of Landlock knows, and what later ones added. */
#define RIGHTS_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define REFER    (UINT64_C(1) << 13) /* version 2 */
#define TRUNCATE (UINT64_C(1) << 14) /* version 3 */

#define READ LANDLOCK_ACCESS_FS_READ_FILE
#define KEEP                                                                                       \
	(READ | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |                      \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

static int allow(int rules, int dirfd, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rights, .parent_fd = dirfd};

	if (dirfd < 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		return -errno;
	return 0;
}

static int restrict_files(const struct server *s)
{
	struct landlock_ruleset_attr all = {.handled_access_fs = RIGHTS_1};
	cleanup_fd int rules = -1;
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int r = 0;

	if (version < 0) /* not in this kernel, or switched off */
		return 0;
	if (version >= 2)
		all.handled_access_fs |= REFER;
	if (version >= 3)
		all.handled_access_fs |= TRUNCATE;
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (rules < 0)
		return -errno;
	for (size_t i = 0; s->reader && i < s->options->nr_stores && !r; i++) {
		r = allow(rules, s->options->stores[i]->objects, READ);
		if (!r)
			r = allow(rules, reader_trees(s->reader, i), KEEP);
	}
	if (r < 0)
		return r;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}

/* --- calls ---------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE

/* What serving takes, and what the C library does for threads and memory. */
static const unsigned short allowed[] = {
	SYS_read,
	SYS_write,
	SYS_pread64,
	SYS_pwrite64,
	SYS_openat2,
	SYS_openat,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_fstatfs,
	SYS_lseek,
	SYS_ioctl,
	SYS_futex,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_rseq,
	SYS_set_robust_list,
	SYS_exit,
	SYS_exit_group,
	SYS_gettid,
	SYS_getpid,
	SYS_tgkill,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_sched_yield,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_sched_getaffinity,
	SYS_getrandom,
	SYS_restart_syscall,
	/* For the cache of trees. */
	SYS_linkat,
	SYS_renameat,
	SYS_unlinkat,
	SYS_getdents64,
	SYS_faccessat2,
	SYS_faccessat,
};

#define FIELD(name) ((unsigned int)offsetof(struct seccomp_data, name))
#define LOAD(at)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define RETURN(k)   BPF_STMT(BPF_RET | BPF_K, (k))
/* If the number loaded is @k go on, else leave out the next @n. */
#define UNLESS_SKIP(k, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (n))
/* The same for any bit of @k. */
#define UNLESS_BITS_SKIP(k, n) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), 0, (n))

#define REFUSE(error) RETURN(SECCOMP_RET_ERRNO | (error))
#define ALLOW         RETURN(SECCOMP_RET_ALLOW)

/* Memory, but none to run code in; threads, but no processes. The C library tries clone3, whose flags
 * a filter cannot see, and without it takes clone. */
static const struct sock_filter before[] = {
	LOAD(FIELD(arch)),
	UNLESS_SKIP(ARCHITECTURE, 1),
	BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
	REFUSE(EPERM),
	LOAD(FIELD(nr)),
	UNLESS_SKIP(SYS_clone3, 1),
	REFUSE(ENOSYS),
	UNLESS_SKIP(SYS_clone, 4),
	LOAD(FIELD(args[0])),
	UNLESS_BITS_SKIP(0x00010000 /* CLONE_THREAD */, 1),
	ALLOW,
	REFUSE(EPERM),
	UNLESS_SKIP(SYS_mmap, 1),
	BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
	UNLESS_SKIP(SYS_mprotect, 4),
	LOAD(FIELD(args[2])),
	UNLESS_BITS_SKIP(PROT_EXEC, 1),
	REFUSE(EPERM),
	ALLOW,
};

static int restrict_calls(void)
{
	struct sock_filter filter[ARRAY_SIZE(before) + 2 * ARRAY_SIZE(allowed) + 1];
	struct sock_fprog program = {.filter = filter};
	unsigned short n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		filter[n++] = before[i];
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		filter[n++] = (struct sock_filter)UNLESS_SKIP(allowed[i], 1);
		filter[n++] = (struct sock_filter)ALLOW;
	}
	filter[n++] = (struct sock_filter)REFUSE(EPERM);
	program.len = n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return errno == ENOSYS || errno == EINVAL ? 0 : -errno;
	return 0;
}

#else

static int restrict_calls(void)
{
	return 0;
}

#endif

/* Root's server reads objects of whomever, and hands them to the kernel. */
static int restrict_capabilities(const struct server *s)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct now[2], keep[2] = {{0}};

	if (syscall(SYS_capget, &header, now) < 0)
		return -errno;
	keep[0].permitted = 1u << CAP_DAC_READ_SEARCH;
	if (s->passthrough)
		keep[0].permitted |= 1u << CAP_SYS_ADMIN;
	keep[0].permitted &= now[0].permitted;
	keep[0].effective = keep[0].permitted;
	return syscall(SYS_capset, &header, keep) < 0 ? -errno : 0;
}

int sandbox_enter(const struct server *s, struct cairn_error *err)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, -errno, "give up privileges");
	r = restrict_capabilities(s);
	if (!r)
		r = restrict_files(s);
	if (!r)
		r = restrict_calls();
	return r < 0 ? error_errno(err, r, "give up privileges") : 0;
}
