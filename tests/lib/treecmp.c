/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * treecmp [--since FILE] [--jobs N] A B: are these two directory trees the same?
 *
 * Compares names, types, modes, owners, devices, sizes, times, link targets, xattrs, content, and
 * which names are one inode. Own code from end to end: it shares nothing with what it tests.
 * Exit status: 0 the same, 1 different, 2 trouble.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_SHOWN   50           /* differences printed; the others are counted */
#define BUFFER_SIZE (256 * 1024) /* bytes compared at a time */
#define XATTR_BYTES (64 * 1024)  /* the kernel's limit for a list and for a value */

/* A directory that waits to be compared: its path below both roots, "" for the roots. */
struct job {
	struct job *next;
	bool fresh; /* changed in A since --since: its listing may differ */
	char path[];
};

/* An inode of A that has several names, and its counterpart. */
struct inode {
	struct inode *next;
	dev_t dev;
	ino_t ino, other;
	uint64_t names;       /* found so far */
	uint64_t other_nlink; /* st_nlink in B */
	bool fresh;           /* one of them changed meanwhile */
	char *path;           /* the first of them */
};

#define INODE_BUCKETS 65536

static struct {
	const char *root[2];
	struct timespec since; /* 0: not given */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	struct job *jobs;
	unsigned int busy; /* workers that may still add jobs */
	struct inode *inodes[INODE_BUCKETS];
	uint64_t names, files, bytes, links, xattrs, differences, meanwhile;
} all = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
};

/* What one thread compares with. */
struct worker {
	char *buffer[2];
	char *value[2];
	char path[2][2 * PATH_MAX]; /* of the two entries */
	uint64_t names, files, bytes, links, xattrs;
};

static void *must(void *p)
{
	if (!p) {
		fputs("treecmp: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

static bool is_fresh(const struct stat *st)
{
	if (!all.since.tv_sec)
		return false;
	return st->st_ctim.tv_sec > all.since.tv_sec ||
	       (st->st_ctim.tv_sec == all.since.tv_sec && st->st_ctim.tv_nsec >= all.since.tv_nsec);
}

/* Notes a difference at @path; of one that changed meanwhile (@fresh), only its number. */
__attribute__((format(printf, 3, 4))) static void differ(bool fresh, const char *path,
							 const char *format, ...)
{
	va_list ap;

	pthread_mutex_lock(&all.lock);
	if (fresh) {
		all.meanwhile++;
	} else if (all.differences++ < MAX_SHOWN) {
		printf("%s: ", *path ? path : "/");
		va_start(ap, format);
		vprintf(format, ap);
		va_end(ap);
		putchar('\n');
	}
	pthread_mutex_unlock(&all.lock);
}

static void add_job(const char *parent, const char *name, bool fresh)
{
	size_t parent_len = strlen(parent), name_len = strlen(name);
	struct job *job = must(malloc(sizeof(*job) + parent_len + name_len + 2));

	job->fresh = fresh;
	memcpy(job->path, parent, parent_len);
	if (*name)
		job->path[parent_len++] = '/';
	memcpy(job->path + parent_len, name, name_len + 1);

	pthread_mutex_lock(&all.lock);
	job->next = all.jobs;
	all.jobs = job;
	pthread_cond_signal(&all.wake);
	pthread_mutex_unlock(&all.lock);
}

/* --- one entry -------------------------------------------------------------------------------- */

/* Value of xattr @name, or -1. */
static ssize_t get_xattr(struct worker *w, int side, const char *name)
{
	return lgetxattr(w->path[side], name, w->value[side], XATTR_BYTES);
}

static bool has_name(const char *list, ssize_t size, const char *name)
{
	for (const char *p = list; p < list + size; p += strlen(p) + 1)
		if (!strcmp(p, name))
			return true;
	return false;
}

static void compare_xattrs(struct worker *w, const char *path, bool fresh)
{
	ssize_t size[2];

	for (int side = 0; side < 2; side++) {
		size[side] = llistxattr(w->path[side], w->buffer[side], XATTR_BYTES);
		if (size[side] < 0 && errno != EOPNOTSUPP) {
			differ(fresh, path, "xattrs cannot be listed in %s: %m", all.root[side]);
			return;
		}
		if (size[side] < 0)
			size[side] = 0;
	}

	for (const char *name = w->buffer[0]; name < w->buffer[0] + size[0];
	     name += strlen(name) + 1) {
		ssize_t a = get_xattr(w, 0, name), b = get_xattr(w, 1, name);

		w->xattrs++;
		if (a != b || (a > 0 && memcmp(w->value[0], w->value[1], (size_t)a)))
			differ(fresh, path, "xattr %s: %zd bytes, %zd bytes, not the same", name, a,
			       b);
	}
	for (const char *name = w->buffer[1]; name < w->buffer[1] + size[1];
	     name += strlen(name) + 1)
		if (!has_name(w->buffer[0], size[0], name))
			differ(fresh, path, "xattr %s: only in %s", name, all.root[1]);
}

static void compare_symlinks(struct worker *w, const char *path, bool fresh)
{
	ssize_t a = readlink(w->path[0], w->buffer[0], BUFFER_SIZE);
	ssize_t b = readlink(w->path[1], w->buffer[1], BUFFER_SIZE);

	w->links++;
	if (a < 0 || a != b || memcmp(w->buffer[0], w->buffer[1], (size_t)a))
		differ(fresh, path, "link target differs");
}

static ssize_t read_full(int fd, char *buffer)
{
	size_t done = 0;

	while (done < BUFFER_SIZE) {
		ssize_t n = read(fd, buffer + done, BUFFER_SIZE - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void compare_content(struct worker *w, const char *path, bool fresh)
{
	int fd[2];
	uint64_t offset = 0;

	for (int side = 0; side < 2; side++)
		fd[side] = open(w->path[side], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	w->files++;
	if (fd[0] < 0 || fd[1] < 0) {
		differ(fresh, path, "cannot be opened: %m");
		goto out;
	}

	for (;;) {
		ssize_t a = read_full(fd[0], w->buffer[0]), b = read_full(fd[1], w->buffer[1]);

		if (a < 0 || b < 0) {
			differ(fresh, path, "cannot be read: %m");
			break;
		}
		if (a != b || memcmp(w->buffer[0], w->buffer[1], (size_t)a)) {
			differ(fresh, path, "content differs after byte %" PRIu64, offset);
			break;
		}
		offset += (uint64_t)a;
		if (a < BUFFER_SIZE)
			break;
	}
	w->bytes += offset;
out:
	for (int side = 0; side < 2; side++)
		if (fd[side] >= 0)
			close(fd[side]);
}

/* Notes one more name of an inode with several. Returns whether it is the first. */
static bool note_link(const char *path, const struct stat *a, const struct stat *b, bool fresh)
{
	struct inode **bucket = &all.inodes[(a->st_ino ^ a->st_dev * 31) % INODE_BUCKETS];
	struct inode *inode;
	bool first;

	pthread_mutex_lock(&all.lock);
	for (inode = *bucket; inode; inode = inode->next)
		if (inode->ino == a->st_ino && inode->dev == a->st_dev)
			break;
	first = !inode;
	if (first) {
		inode = must(calloc(1, sizeof(*inode)));
		inode->next = *bucket;
		*bucket = inode;
		inode->dev = a->st_dev;
		inode->ino = a->st_ino;
		inode->other = b->st_ino;
		inode->other_nlink = b->st_nlink;
		inode->path = must(strdup(path));
	}
	inode->names++;
	inode->fresh |= fresh;
	pthread_mutex_unlock(&all.lock);

	if (inode->other != b->st_ino)
		differ(fresh, path, "is no hard link to %s in %s", inode->path, all.root[1]);
	return first;
}

static void compare_stat(const char *path, const struct stat *a, const struct stat *b, bool fresh)
{
	if ((a->st_mode & 07777) != (b->st_mode & 07777))
		differ(fresh, path, "mode: %04o, %04o", a->st_mode & 07777, b->st_mode & 07777);
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		differ(fresh, path, "owner: %u:%u, %u:%u", a->st_uid, a->st_gid, b->st_uid,
		       b->st_gid);
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		differ(fresh, path, "mtime: %lld.%09ld, %lld.%09ld", (long long)a->st_mtim.tv_sec,
		       a->st_mtim.tv_nsec, (long long)b->st_mtim.tv_sec, b->st_mtim.tv_nsec);
	if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		differ(fresh, path, "size: %lld, %lld", (long long)a->st_size,
		       (long long)b->st_size);
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) && a->st_rdev != b->st_rdev)
		differ(fresh, path, "device: %u:%u, %u:%u", major(a->st_rdev), minor(a->st_rdev),
		       major(b->st_rdev), minor(b->st_rdev));
}

/* Compares entry @name (NULL: the directory itself) of directory @dir; a directory in it becomes a
 * job. */
static void compare_entry(struct worker *w, const char *dir, const char *name, bool fresh)
{
	struct stat st[2];
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", dir, name ? "/" : "", name ? name : "");
	for (int side = 0; side < 2; side++) {
		int len = snprintf(w->path[side], sizeof(w->path[side]), "%s%s", all.root[side],
				   path);

		if (len >= PATH_MAX) {
			differ(fresh, path, "the path is too long for this program");
			return;
		}
		if (lstat(w->path[side], &st[side]) < 0) {
			differ(fresh, path, "cannot be looked up in %s: %m", all.root[side]);
			return;
		}
	}
	w->names++;
	fresh |= is_fresh(&st[0]);

	if ((st[0].st_mode & S_IFMT) != (st[1].st_mode & S_IFMT)) {
		differ(fresh, path, "type: %06o, %06o", st[0].st_mode & S_IFMT,
		       st[1].st_mode & S_IFMT);
		return;
	}
	compare_stat(path, &st[0], &st[1], fresh);
	compare_xattrs(w, path, fresh);

	if (S_ISDIR(st[0].st_mode)) {
		add_job(dir, name ? name : "", fresh);
		return;
	}
	if (st[0].st_nlink > 1) {
		if (!note_link(path, &st[0], &st[1], fresh))
			return;
	} else if (st[1].st_nlink != 1) {
		differ(fresh, path, "links: 1, %lu", (unsigned long)st[1].st_nlink);
	}
	if (S_ISLNK(st[0].st_mode))
		compare_symlinks(w, path, fresh);
	if (S_ISREG(st[0].st_mode))
		compare_content(w, path, fresh);
}

/* --- one directory ---------------------------------------------------------------------------- */

struct listing {
	char **names;
	size_t nr, room;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool list(const char *path, struct listing *ret)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (ret->nr == ret->room) {
			ret->room = ret->room ? 2 * ret->room : 64;
			ret->names = must(realloc(ret->names, ret->room * sizeof(*ret->names)));
		}
		ret->names[ret->nr++] = must(strdup(entry->d_name));
	}
	closedir(dir);
	if (ret->nr)
		qsort(ret->names, ret->nr, sizeof(*ret->names), compare_names);
	return true;
}

static void compare_directory(struct worker *w, const struct job *job)
{
	struct listing names[2] = {0};
	size_t i = 0, j = 0;
	char path[2 * PATH_MAX];

	for (int side = 0; side < 2; side++) {
		snprintf(path, sizeof(path), "%s%s", all.root[side], job->path);
		if (!list(path, &names[side]))
			differ(job->fresh, job->path, "cannot be listed in %s: %m", all.root[side]);
	}

	while (i < names[0].nr || j < names[1].nr) {
		int order;

		if (i == names[0].nr)
			order = 1;
		else if (j == names[1].nr)
			order = -1;
		else
			order = strcmp(names[0].names[i], names[1].names[j]);
		snprintf(path, sizeof(path), "%s/%s", job->path,
			 order <= 0 ? names[0].names[i] : names[1].names[j]);
		if (order)
			differ(job->fresh, path, "only in %s", all.root[order > 0]);
		else
			compare_entry(w, job->path, names[0].names[i], false);
		i += order <= 0;
		j += order >= 0;
	}

	for (int side = 0; side < 2; side++) {
		for (i = 0; i < names[side].nr; i++)
			free(names[side].names[i]);
		free(names[side].names);
	}
}

static void *work(void *arg)
{
	struct worker w = {0};

	(void)arg;
	for (int side = 0; side < 2; side++) {
		w.buffer[side] = must(malloc(BUFFER_SIZE));
		w.value[side] = must(malloc(XATTR_BYTES));
	}

	pthread_mutex_lock(&all.lock);
	for (;;) {
		struct job *job = all.jobs;

		if (job) {
			all.jobs = job->next;
			all.busy++;
			pthread_mutex_unlock(&all.lock);
			compare_directory(&w, job);
			free(job);
			pthread_mutex_lock(&all.lock);
			all.busy--;
			continue;
		}
		if (!all.busy)
			break;
		pthread_cond_wait(&all.wake, &all.lock);
	}
	pthread_cond_broadcast(&all.wake);
	all.names += w.names;
	all.files += w.files;
	all.bytes += w.bytes;
	all.links += w.links;
	all.xattrs += w.xattrs;
	pthread_mutex_unlock(&all.lock);

	for (int side = 0; side < 2; side++) {
		free(w.buffer[side]);
		free(w.value[side]);
	}
	return NULL;
}

/* Every name was seen: an inode must have as many links as names were found of it. */
static void check_links(void)
{
	for (size_t i = 0; i < INODE_BUCKETS; i++) {
		struct inode *inode = all.inodes[i];

		while (inode) {
			struct inode *next = inode->next;

			if (inode->names != inode->other_nlink)
				differ(inode->fresh, inode->path,
				       "links: %" PRIu64 " names, %" PRIu64, inode->names,
				       inode->other_nlink);
			free(inode->path);
			free(inode);
			inode = next;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"since", required_argument, NULL, 's'},
		{"jobs", required_argument, NULL, 'j'},
		{0},
	};
	long jobs = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[64];
	struct worker w = {0};
	struct stat st;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:j:", options, NULL)) != -1) {
		if (opt == 's' && stat(optarg, &st) == 0)
			all.since = st.st_mtim;
		else if (opt == 'j')
			jobs = atol(optarg);
		else
			return 2;
	}
	if (argc - optind != 2) {
		fputs("usage: treecmp [--since FILE] [--jobs N] A B\n", stderr);
		return 2;
	}
	for (int side = 0; side < 2; side++) {
		char *root = argv[optind + side];
		size_t len = strlen(root);

		if (len > 1 && root[len - 1] == '/')
			root[len - 1] = '\0';
		all.root[side] = root;
		w.buffer[side] = must(malloc(BUFFER_SIZE));
		w.value[side] = must(malloc(XATTR_BYTES));
	}
	compare_entry(&w, "", NULL, false);
	all.names = w.names;
	all.xattrs = w.xattrs;

	if (jobs < 1)
		jobs = 1;
	if (jobs > 64)
		jobs = 64;
	for (long i = 0; i < jobs; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 2;
	for (long i = 0; i < jobs; i++)
		pthread_join(threads[i], NULL);
	check_links();
	for (int side = 0; side < 2; side++) {
		free(w.buffer[side]);
		free(w.value[side]);
	}

	if (all.differences > MAX_SHOWN)
		printf("… and %" PRIu64 " more\n", all.differences - MAX_SHOWN);
	if (all.meanwhile)
		printf("%" PRIu64 " differences in what changed meanwhile\n", all.meanwhile);
	printf("compared %" PRIu64 " names, %" PRIu64 " files with %" PRIu64 " bytes, %" PRIu64
	       " symbolic links, %" PRIu64 " xattrs: %s\n",
	       all.names, all.files, all.bytes, all.links, all.xattrs,
	       all.differences ? "different" : "the same");
	return all.differences ? 1 : 0;
}
