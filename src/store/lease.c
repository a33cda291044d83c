/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Leases: the files, and how they are read.
 *
 *	STORE/cairn/leases/w-RANDOM	8 magic, 8 inode number of the gate, 4 process, 4 zero, 8 number: taken by a
 *		collector after it saw that the owner is dead, 0 until then; then 8 bytes for each note. In
 *		this machine's byte order: it never leaves the machine
 *	STORE/cairn/leases/c-RANDOM	the header only; number: taken when it began
 *	STORE/cairn/leases/gate		256 bytes, 1: the part is closed; 8 the number that was taken last.
 *		fcntl OFD locks on the bytes
 *
 *	flock on w- and c-: its owner lives. Taken before the file has its name.
 */
#include "store/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "sys/dir.h"
#include "sys/io.h"

#define FOLDER      "leases"
#define FOLDER_MODE 0777 /* less the umask: whoever may write the store may have leases */
#define FILE_MODE   0666

#define MAGIC       UINT64_C(0x455341454c4e5243)
#define HEADER_SIZE 32
#define GATE        "gate"
#define PARTS       256
#define ATTEMPTS    16
#define LEASES_MAX  (1u << 20) /* with those of processes that have ended */

#define UNNAMED_SECONDS 60 /* between the making of a file and its name are microseconds */

struct header {
	uint64_t magic;
	uint64_t gate; /* inode number */
	uint32_t pid, zero;
	uint64_t number;
};
_Static_assert(sizeof(struct header) == HEADER_SIZE, "no holes");

/* --- ours ------------------------------------------------------------------------------------ */

static int open_gate(struct lease *l)
{
	uint8_t open[PARTS] = {0};
	struct stat st;
	void *map;

	l->gate = openat(l->dirfd, GATE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			 FILE_MODE);
	if (l->gate < 0 || fstat(l->gate, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* Not by ftruncate: a hole may find no space later. */
	if (st.st_size < PARTS) {
		int r = pwrite_all(l->gate, open + st.st_size, PARTS - (size_t)st.st_size,
				   st.st_size);

		if (r < 0)
			return r;
	}
	map = mmap(NULL, PARTS, PROT_READ, MAP_SHARED, l->gate, 0);
	l->closed = map == MAP_FAILED ? NULL : (const _Atomic uint8_t *)map;
	return 0;
}

/* A number above all that were taken before; 0, which is below all, if none can be taken. */
static uint64_t take_number(const struct lease *l)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = PARTS, .l_len = sizeof(uint64_t)};
	uint64_t number = 0;

	while (fcntl(l->gate, F_OFD_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return 0;
	/* Where it cannot be read it must not begin anew. */
	if (pread_full(l->gate, &number, sizeof(number), PARTS) < 0)
		number = 0;
	else if (++number && pwrite_all(l->gate, &number, sizeof(number), PARTS) < 0)
		number = 0;
	lock.l_type = F_UNLCK;
	(void)fcntl(l->gate, F_OFD_SETLK, &lock);
	return number;
}

/* A file that is locked when it gets its name. */
static int make_file(struct lease *l, enum lease_kind kind)
{
	struct header header = {.magic = MAGIC, .pid = (uint32_t)getpid()};
	char temporary[40];
	struct stat st;
	uint64_t random;

	if (fstat(l->gate, &st) < 0)
		return -errno;
	header.gate = st.st_ino;
	header.number = kind == LEASE_COLLECTOR ? take_number(l) : 0;
	for (int i = 0; i < ATTEMPTS && l->fd < 0; i++) {
		if (getrandom(&random, sizeof(random), 0) < 0)
			return -errno;
		snprintf(l->name, sizeof(l->name), "%c-%016llx", kind == LEASE_WRITER ? 'w' : 'c',
			 (unsigned long long)random);
		snprintf(temporary, sizeof(temporary), ".%s", l->name);
		l->fd = openat(l->dirfd, temporary,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
		if (l->fd < 0 && errno != EEXIST)
			return -errno;
	}
	if (l->fd < 0)
		return -EEXIST;
	if (flock(l->fd, LOCK_EX | LOCK_NB) < 0 || pwrite_all(l->fd, &header, sizeof(header), 0) ||
	    renameat(l->dirfd, temporary, l->dirfd, l->name) < 0) {
		(void)unlinkat(l->dirfd, temporary, 0);
		return errno ? -errno : -EIO;
	}
	return 0;
}

static void lease_free(struct lease *l)
{
	if (l->closed)
		munmap((void *)(uintptr_t)l->closed, PARTS);
	if (l->fd >= 0)
		close(l->fd);
	if (l->gate >= 0)
		close(l->gate);
	if (l->dirfd >= 0)
		close(l->dirfd);
	free(l);
}

int lease_new(const struct cairn_store *s, enum lease_kind kind, struct lease **ret)
{
	struct lease *l = (struct lease *)calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = l->gate = -1;
	l->dirfd = store_own_dir(s, FOLDER, FOLDER_MODE);
	r = l->dirfd < 0 ? l->dirfd : open_gate(l);
	if (!r)
		r = make_file(l, kind);
	if (r < 0)
		lease_free(l);
	else
		*ret = l;
	return r;
}

/* Waits until part @part is open. Our notes are written. */
static int wait_for_part(const struct lease *l, uint8_t part)
{
	struct flock lock = {.l_type = F_RDLCK, .l_start = part, .l_len = 1};

	if (l->closed && !atomic_load_explicit(&l->closed[part], memory_order_seq_cst))
		return 0;
	while (fcntl(l->gate, F_OFD_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return -errno;
	lock.l_type = F_UNLCK;
	return fcntl(l->gate, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int lease_note_many(struct lease *l, const uint64_t *raw, size_t nr)
{
	uint64_t keys[1024];
	bool parts[PARTS] = {false};
	uint64_t first = atomic_fetch_add_explicit(&l->nr, nr, memory_order_relaxed);
	int r = 0;

	for (size_t at = 0; at < nr && !r;) {
		size_t some = MIN(nr - at, ARRAY_SIZE(keys));

		for (size_t i = 0; i < some; i++) {
			const uint8_t *bytes = (const uint8_t *)&raw[at + i];

			keys[i] = digest_key(bytes);
			parts[bytes[0]] = true;
		}
		r = pwrite_all(l->fd, keys, some * sizeof(*keys),
			       HEADER_SIZE + (off_t)((first + at) * sizeof(*keys)));
		at += some;
	}
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned int i = 0; i < PARTS && !r; i++)
		r = parts[i] ? wait_for_part(l, (uint8_t)i) : 0;
	return r;
}

int lease_note(struct lease *l, const struct cairn_digest *id)
{
	uint64_t nr = atomic_fetch_add_explicit(&l->nr, 1, memory_order_relaxed);
	uint64_t key = digest_key(id->bytes);
	int r = pwrite_all(l->fd, &key, sizeof(key), HEADER_SIZE + (off_t)(nr * sizeof(key)));

	/* Our note before their gate, as their gate before our note. */
	atomic_thread_fence(memory_order_seq_cst);
	return r < 0 ? r : wait_for_part(l, id->bytes[0]);
}

/* --- others' --------------------------------------------------------------------------------- */

/* The names of the leases. */
#define NAME_SIZE 20

struct list {
	size_t nr, room;
	char (*name)[NAME_SIZE];
	bool full; /* there may be more */
};

static void list_fini(struct list *list)
{
	free(list->name);
}

#define cleanup_list __attribute__((__cleanup__(list_fini)))

static int add_name(void *arg, const char *name, size_t len, unsigned char type)
{
	struct list *list = (struct list *)arg;
	const size_t want = strlen("w-0123456789abcdef");

	(void)type;
	if (len != want || name[1] != '-' || (name[0] != 'w' && name[0] != 'c'))
		return 0;
	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		void *more = room <= LEASES_MAX ? reallocarray(list->name, room, NAME_SIZE) : NULL;

		if (!more)
			return -ENOMEM;
		list->name = (char(*)[NAME_SIZE])more;
		list->room = room;
	}
	memcpy(list->name[list->nr++], name, len + 1);
	return 0;
}

static struct list list_leases(const struct lease *l)
{
	struct list list = {0};
	_Alignas(8) char buffer[8192];

	(void)lseek(l->dirfd, 0, SEEK_SET);
	list.full = dir_list(l->dirfd, buffer, sizeof(buffer), add_name, &list) < 0;
	return list;
}

static int open_lease(const struct lease *l, const char *name, int flags)
{
	int fd = openat(l->dirfd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_alive(int fd)
{
	/* Shared: two that ask must not take each other for the owner. */
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static uint64_t number_of(int fd)
{
	struct header header;

	return pread_full(fd, &header, sizeof(header), 0) == HEADER_SIZE ? header.number : 0;
}

#define NO_COLLECTOR UINT64_MAX

/* The number of the collector beside us that began first. */
static uint64_t oldest_collector(const struct lease *l, const struct list *list)
{
	uint64_t oldest = list->full ? 0 : NO_COLLECTOR;

	for (size_t i = 0; i < list->nr; i++) {
		cleanup_fd int fd = -1;

		if (list->name[i][0] != 'c' || !strcmp(list->name[i], l->name))
			continue;
		fd = open_lease(l, list->name[i], O_RDONLY);
		if (fd >= 0 && is_alive(fd))
			oldest = MIN(oldest, number_of(fd));
	}
	return oldest;
}

void lease_end(struct lease *l)
{
	struct list list cleanup_list = {0};

	if (!l)
		return;
	/* What a collector may still have to see stays (invariant 2); a collector's is seen by nobody. */
	if (l->name[0] == 'c')
		(void)unlinkat(l->dirfd, l->name, 0);
	list = list_leases(l);
	if (l->name[0] == 'w' && oldest_collector(l, &list) == NO_COLLECTOR)
		(void)unlinkat(l->dirfd, l->name, 0);
	lease_free(l);
}

static void reopen_parts(const struct lease *l)
{
	uint8_t closed[PARTS];
	const uint8_t open = 0;

	if (pread_full(l->gate, closed, PARTS, 0) != PARTS)
		return;
	for (unsigned int i = 0; i < PARTS; i++) {
		struct flock lock = {.l_type = F_WRLCK, .l_start = i, .l_len = 1};

		if (!closed[i] || fcntl(l->gate, F_OFD_SETLK, &lock) < 0)
			continue;
		(void)pwrite_all(l->gate, &open, 1, i);
		lock.l_type = F_UNLCK;
		(void)fcntl(l->gate, F_OFD_SETLK, &lock);
	}
}

/* A file that its owner did not live to name. */
static int drop_unnamed(void *arg, const char *name, size_t len, unsigned char type)
{
	const struct lease *l = (const struct lease *)arg;
	struct timespec now;
	struct stat st;

	(void)len;
	(void)type;
	if (name[0] == '.' && !clock_gettime(CLOCK_REALTIME, &now) &&
	    !fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_mtime < now.tv_sec - UNNAMED_SECONDS)
		(void)unlinkat(l->dirfd, name, 0);
	return 0;
}

/* Whether the lease @name, of a dead owner, has a number of which is known that all collectors that live,
 * of which the first began as @oldest, began after its owner had died. */
static bool is_over(const struct lease *l, const char *name, uint64_t oldest, bool *ret_dead,
		    bool *ret_numbered)
{
	cleanup_fd int fd = open_lease(l, name, O_RDONLY);
	uint64_t number;

	*ret_dead = fd >= 0 && !is_alive(fd);
	number = *ret_dead ? number_of(fd) : 0;
	*ret_numbered = number;
	return *ret_dead &&
	       (oldest == NO_COLLECTOR || name[0] == 'c' || (number && number < oldest));
}

/* Notes that the owners of @list have died, all of whom were seen dead before. Where we may not write, they stay
 * until there is a collection alone. */
static void number_dead(const struct lease *l, const struct list *list)
{
	const uint64_t number = list->nr ? take_number(l) : 0;

	for (size_t i = 0; i < list->nr && number; i++) {
		cleanup_fd int fd = open_lease(l, list->name[i], O_WRONLY);

		if (fd >= 0)
			(void)pwrite_all(fd, &number, sizeof(number),
					 offsetof(struct header, number));
	}
}

unsigned int lease_clean(const struct lease *l)
{
	struct list list cleanup_list = list_leases(l), dead cleanup_list = {0};
	const uint64_t oldest = oldest_collector(l, &list);
	_Alignas(8) char buffer[4096];
	unsigned int removed = 0;

	reopen_parts(l);
	(void)lseek(l->dirfd, 0, SEEK_SET);
	(void)dir_list(l->dirfd, buffer, sizeof(buffer), drop_unnamed, (void *)(uintptr_t)l);
	for (size_t i = 0; i < list.nr; i++) {
		const char *name = list.name[i];
		bool is_dead, is_numbered;

		if (!strcmp(name, l->name))
			continue;
		if (is_over(l, name, oldest, &is_dead, &is_numbered))
			removed += !unlinkat(l->dirfd, name, 0);
		else if (is_dead && !is_numbered)
			(void)add_name(&dead, name, strlen(name), 0);
	}
	number_dead(l, &dead);
	return removed;
}

/* --- notes ----------------------------------------------------------------------------------- */

void notes_fini(struct notes *n)
{
	keyset_fini(&n->keys);
	free(n->files);
}

bool notes_have(const struct notes *n, uint64_t key)
{
	return keyset_has(&n->keys, key);
}

static struct notes_file *file_of(struct notes *n, const char *name, uint64_t ino)
{
	struct notes_file *more;

	for (size_t i = 0; i < n->nr_files; i++)
		if (n->files[i].ino == ino && !strcmp(n->files[i].name, name))
			return &n->files[i];
	more = (struct notes_file *)reallocarray(n->files, n->nr_files + 1, sizeof(*more));
	if (!more)
		return NULL;
	n->files = more;
	more[n->nr_files] = (struct notes_file){.ino = ino};
	strcpy(more[n->nr_files].name, name);
	return &more[n->nr_files++];
}

/* The notes from number @at on. Returns how many, 0 behind the last one, or a negative errno. */
static ssize_t read_keys(int fd, uint64_t at, uint64_t *keys, size_t nr)
{
	ssize_t got =
		pread_full(fd, keys, nr * sizeof(*keys), HEADER_SIZE + (off_t)(at * sizeof(*keys)));

	return got < 0 ? got : got / (ssize_t)sizeof(*keys);
}

static int read_file(const struct lease *l, const char *name, struct notes *n)
{
	cleanup_fd int fd = open_lease(l, name, O_RDONLY);
	struct notes_file *file;
	struct header header;
	struct stat st, gate;
	uint64_t keys[2048];
	bool hole = false;
	ssize_t got;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || fstat(l->gate, &gate) < 0)
		return fd < 0 ? fd : -errno;
	if (!S_ISREG(st.st_mode) || pread_full(fd, &header, sizeof(header), 0) != HEADER_SIZE ||
	    header.magic != MAGIC || header.gate != gate.st_ino)
		return is_alive(fd) ? -EUCLEAN : 0;
	file = file_of(n, name, st.st_ino);
	if (!file)
		return -ENOMEM;
	for (uint64_t at = file->read; (got = read_keys(fd, at, keys, ARRAY_SIZE(keys))) > 0;
	     at += (uint64_t)got) {
		for (size_t i = 0; i < (size_t)got; i++) {
			/* Taken by a thread that has not written it yet: from there on it is read
			 * again the next time. Those behind it count now. */
			hole |= !keys[i];
			file->read += !hole;
			if (keys[i] && keyset_add(&n->keys, keys[i]) < 0)
				return -ENOMEM;
		}
	}
	return (int)got;
}

static bool is_dead(const struct lease *l, const char *name)
{
	cleanup_fd int fd = open_lease(l, name, O_RDONLY);

	return fd >= 0 && !is_alive(fd);
}

/* @dead: also of those whose owners are gone. */
static int read_listed(const struct lease *l, const struct list *list, bool dead, struct notes *n)
{
	int r = 0;

	if (list->full)
		return -EUCLEAN;
	for (size_t i = 0; !r && i < list->nr; i++)
		if (list->name[i][0] == 'w' && (dead || !is_dead(l, list->name[i])))
			r = read_file(l, list->name[i], n);
	return r;
}

int lease_read_notes(const struct lease *l, struct notes *n)
{
	struct list list cleanup_list = list_leases(l);

	return read_listed(l, &list, true, n);
}

int lease_peek(const struct cairn_store *s, struct notes *n)
{
	cleanup_fd int dirfd = store_own_dir(s, FOLDER, 0);
	cleanup_fd int gate =
		dirfd < 0 ? -1 : openat(dirfd, GATE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const struct lease l = {.dirfd = dirfd, .fd = -1, .gate = gate};
	struct list list cleanup_list = {0};

	if (gate < 0)
		return 0;
	list = list_leases(&l);
	/* A collector that came now would first remove those of the dead, if it were alone. */
	return read_listed(&l, &list, oldest_collector(&l, &list) != NO_COLLECTOR, n);
}

/* --- parts ----------------------------------------------------------------------------------- */

int lease_close_part(const struct lease *l, uint8_t part)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = part, .l_len = 1};
	const uint8_t closed = 1;
	int r;

	while (fcntl(l->gate, F_OFD_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return -errno;
	r = pwrite_all(l->gate, &closed, 1, part);
	if (r < 0)
		lease_open_part(l, part);
	return r;
}

void lease_open_part(const struct lease *l, uint8_t part)
{
	struct flock lock = {.l_type = F_UNLCK, .l_start = part, .l_len = 1};
	const uint8_t open = 0;

	(void)pwrite_all(l->gate, &open, 1, part);
	(void)fcntl(l->gate, F_OFD_SETLK, &lock);
}
