/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A library to be preloaded: the Nth call that changes a file system fails, or is the last thing that the
 * process does.
 *
 *	FAULTS_AT=N	from 1 on; 0: none, only count
 *	FAULTS_ERRNO=E	what it fails with; KILL: the process is killed before the call
 *	FAULTS_STAY=1	all later ones fail as well: a disk stays full
 *	FAULTS_COUNT=FILE	gets the number of calls at the end
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic long calls;
static long at;
static int error;
static int stays;

static void __attribute__((constructor)) begin(void)
{
	const char *n = getenv("FAULTS_AT"), *e = getenv("FAULTS_ERRNO");

	at = n ? atol(n) : 0;
	error = e && strcmp(e, "KILL") ? atoi(e) : 0;
	stays = getenv("FAULTS_STAY") != NULL;
}

static void __attribute__((destructor)) end(void)
{
	const char *path = getenv("FAULTS_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	fprintf(f, "%ld\n", atomic_load(&calls));
	fclose(f);
}

/* Whether this call is to fail. */
static int fails(void)
{
	long n = atomic_fetch_add(&calls, 1) + 1;

	if (!at || n < at || (n > at && !stays))
		return 0;
	if (!error)
		kill(getpid(), SIGKILL);
	errno = error;
	return 1;
}

/* Output is no file system. */
static int is_file(int fd)
{
	struct stat st;

	return fd > 2 && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/* With 64-bit offsets the compiler calls pwrite() and openat() by their other names. */
#pragma GCC visibility push(default)

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
	return is_file(fd) && fails() ? -1 : NEXT(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return fails() ? -1 : NEXT(pwrite)(fd, data, size, offset);
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
	return fails() ? -1 : NEXT(linkat)(from, a, to, b, flags);
}

int symlinkat(const char *target, int dir, const char *name)
{
	return fails() ? -1 : NEXT(symlinkat)(target, dir, name);
}

int renameat(int from, const char *a, int to, const char *b)
{
	return fails() ? -1 : NEXT(renameat)(from, a, to, b);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned int flags)
{
	return fails() ? -1 : NEXT(renameat2)(from, a, to, b, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	return fails() ? -1 : NEXT(unlinkat)(dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	return fails() ? -1 : NEXT(mkdirat)(dir, name, mode);
}

int fsync(int fd)
{
	return fails() ? -1 : NEXT(fsync)(fd);
}

int syncfs(int fd)
{
	return fails() ? -1 : NEXT(syncfs)(fd);
}

static int opens_for_writing(int flags)
{
	return (flags & O_TMPFILE) == O_TMPFILE || flags & O_CREAT;
}

int openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (opens_for_writing(flags))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (opens_for_writing(flags) && fails())
		return -1;
	return NEXT(openat)(dir, name, flags, mode);
}
