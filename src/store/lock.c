/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * flock on the store's directory, and who has it.
 *
 *	/proc/locks	a line for each lock: "1: FLOCK ADVISORY READ 1234 08:02:131074 0 EOF";
 *			only those of processes in the reader's PID namespace
 *	/proc/self/ns/pid	the initial namespace, which sees all, has a fixed number
 */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "sys/dir.h"
#include "sys/io.h"
#include "sys/place.h"

#define INITIAL_PID_NAMESPACE 0xEFFFFFFCu /* PROC_PID_INIT_INO */

#define LOCKS_SIZE (1u << 22) /* bytes of /proc/locks: 50,000 locks */
#define HOLDERS    256        /* processes that are told apart; the others count as unknown */

struct holder {
	int pid;
	int nr; /* locks on the store less locks on leases */
};

/* Adds @change to the count of @pid. Returns false when there are too many processes. */
static bool count(struct holder *holders, unsigned int *nr, int pid, int change)
{
	unsigned int i = 0;

	while (i < *nr && holders[i].pid != pid)
		i++;
	if (i == HOLDERS)
		return false;
	if (i == *nr)
		holders[(*nr)++] = (struct holder){.pid = pid};
	holders[i].nr += change;
	return true;
}

/* The inodes of the leases. */
struct inodes {
	int dirfd;
	uint64_t *ino;
	size_t nr, room;
};

static int add_inode(void *arg, const char *name, size_t len, unsigned char type)
{
	struct inodes *l = (struct inodes *)arg;
	struct stat st;

	(void)len;
	(void)type;
	if (l->nr == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		uint64_t *more = (uint64_t *)reallocarray(l->ino, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->ino = more;
		l->room = room;
	}
	if (!fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		l->ino[l->nr++] = st.st_ino;
	return 0;
}

static void inodes_fini(struct inodes *l)
{
	free(l->ino);
}

#define cleanup_inodes __attribute__((__cleanup__(inodes_fini)))

static bool is_lease(const struct inodes *l, uint64_t ino)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->ino[i] == ino)
			return true;
	return false;
}

static bool sees_all(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) && st.st_ino == INITIAL_PID_NAMESPACE;
}

/* "process 123 (cfsctl)" */
static void name_process(int pid, char *out, size_t size)
{
	char path[64], name[64] = "";
	cleanup_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read_full(fd, name, sizeof(name) - 1);
	if (n > 0)
		name[strcspn(name, "\n")] = '\0';
	snprintf(out, size, *name ? "process %d (%s)" : "process %d", pid, name);
}

/* One line. */
struct lock_line {
	char class[16], type[16];
	int pid;
	char dev[32]; /* major:minor, hexadecimal */
	unsigned long long ino;
};

static bool parse_line(const char *line, struct lock_line *l)
{
	unsigned int major, minor;

	/* A "->" after the number is a process that waits. */
	if (sscanf(line, "%*d: %15s %*s %15s %d %x:%x:%llu", l->class, l->type, &l->pid, &major,
		   &minor, &l->ino) != 6)
		return false;
	snprintf(l->dev, sizeof(l->dev), "%x:%x", major, minor);
	return !strcmp(l->class, "FLOCK");
}

/* The device as the kernel prints it is not what stat(2) says on some file systems: that of our own lock
 * on the directory is the one. */
static bool find_device(const char *text, uint64_t ino, char *ret)
{
	struct lock_line l;

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (!parse_line(p, &l) || l.pid != getpid() || l.ino != ino)
			continue;
		strcpy(ret, l.dev);
		return true;
	}
	return false;
}

static char *read_locks(void)
{
	cleanup_fd int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : (char *)malloc(LOCKS_SIZE);
	ssize_t n = text ? read_full(fd, text, LOCKS_SIZE) : 0;

	if (!text)
		return NULL;
	if (n < 0 || n == (ssize_t)LOCKS_SIZE) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static void tell(struct lock_holders *ret, const struct holder *holders, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (holders[i].nr <= 0)
			continue;
		if (!ret->nr++)
			name_process(holders[i].pid, ret->text, sizeof(ret->text));
	}
	if (ret->nr > 1)
		snprintf(ret->text + strlen(ret->text), sizeof(ret->text) - strlen(ret->text),
			 " and %u more", ret->nr - 1);
}

void lock_look(const struct cairn_store *s, int fd, int leases, struct lock_holders *ret)
{
	struct holder holders[HOLDERS];
	struct inodes ours cleanup_inodes = {.dirfd = leases};
	_Alignas(8) char buffer[4096];
	cleanup_free char *text = read_locks();
	char dev[32];
	unsigned int nr = 0;
	struct stat st;
	struct lock_line l;

	(void)s;
	*ret = (struct lock_holders){.text = "another process"};
	if (leases >= 0) {
		(void)lseek(leases, 0, SEEK_SET);
		(void)dir_list(leases, buffer, sizeof(buffer), add_inode, &ours);
	}
	if (!text || fstat(fd, &st) < 0 || !find_device(text, st.st_ino, dev))
		return;
	ret->known = sees_all() && place_is_ordinary(fd);
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		int change;

		if (!parse_line(p, &l) || strcmp(l.dev, dev))
			continue;
		change = l.ino == st.st_ino ? 1 : is_lease(&ours, l.ino) ? -1 : 0;
		if (change && !count(holders, &nr, l.pid, change))
			ret->known = false;
	}
	tell(ret, holders, nr);
}

/* Who has the lock exclusively; the number of the inode must do, for we have none to tell the device. */
static void find_owner(int fd, char *out, size_t size)
{
	cleanup_free char *text = read_locks();
	struct stat st;
	struct lock_line l;

	snprintf(out, size, "another process");
	if (!text || fstat(fd, &st) < 0)
		return;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (!parse_line(p, &l) || l.ino != st.st_ino || strcmp(l.type, "WRITE") != 0)
			continue;
		name_process(l.pid, out, size);
		return;
	}
}

int lock_shared(const struct cairn_store *s, int fd, struct cairn_error *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	char owner[128];

	for (long waited = 0; flock(fd, LOCK_SH | LOCK_NB) < 0; waited += LOCK_PAUSE_NS / 1000000) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return 0;
		if (waited >= LOCK_PATIENCE_MS) {
			find_owner(fd, owner, sizeof(owner));
			return error_set(err, -EBUSY, CAIRN_ERROR_SYSTEM,
					 "%s: %s has locked it and collects; reading works, to add "
					 "something try again when it has ended",
					 s->path, owner);
		}
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}
