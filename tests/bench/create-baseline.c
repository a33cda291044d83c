/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The least that making a store's files can cost: create-baseline [-j THREADS] NUMBER DIRECTORY
 *
 * Makes so many files of 0 to 4000 bytes, with names as long as those of objects, in 256 directories
 * below the new DIRECTORY, and has them on disk in the end. Each is made under its own name, which a store
 * must not do: who looks would find it incomplete.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIXES      256
#define SIZE_MAX_FILE 4000

static int folders[PREFIXES];
static long nr_files;
static atomic_long next;

static void die(const char *what)
{
	fprintf(stderr, "create-baseline: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The next of a row of numbers that is as good as random (splitmix64). */
static unsigned long long mix(unsigned long long x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void make(long i, const char *data)
{
	const unsigned long long a = mix((unsigned long long)i);
	const size_t size = (size_t)(mix(a) % (SIZE_MAX_FILE + 1));
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "%016llx%016llx%016llx%014llx", a, mix(a + 1), mix(a + 2),
		 mix(a + 3) >> 8);
	fd = openat(folders[a % PREFIXES], name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		die(name);
	if (write(fd, data, size) != (ssize_t)size)
		die(name);
	close(fd);
}

static void *run(void *arg)
{
	static const char data[SIZE_MAX_FILE] = "x";
	long i;

	while ((i = atomic_fetch_add(&next, 1)) < nr_files)
		make(i, data);
	return arg;
}

int main(int argc, char **argv)
{
	unsigned int jobs = 2;
	pthread_t *threads;
	int top, opt;

	while ((opt = getopt(argc, argv, "j:")) == 'j')
		jobs = (unsigned int)atoi(optarg);
	if (opt != -1 || optind + 2 != argc || !jobs) {
		fprintf(stderr, "usage: create-baseline [-j THREADS] NUMBER DIRECTORY\n");
		return 2;
	}
	nr_files = atol(argv[optind]);
	if (mkdir(argv[optind + 1], 0755) < 0)
		die(argv[optind + 1]);
	top = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		die(argv[optind + 1]);
	for (unsigned int i = 0; i < PREFIXES; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(top, name, 0755) < 0)
			die(name);
		folders[i] = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folders[i] < 0)
			die(name);
	}

	threads = (pthread_t *)calloc(jobs, sizeof(*threads));
	if (!threads)
		die("memory");
	for (unsigned int i = 0; i < jobs; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			die("thread");
	for (unsigned int i = 0; i < jobs; i++)
		pthread_join(threads[i], NULL);
	if (syncfs(top) < 0)
		die("syncfs");
	free(threads);
	return 0;
}
