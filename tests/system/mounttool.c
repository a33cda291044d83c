/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * mounttool [OPTION]... IMAGE TARGET: cairn_mount() for tests, with what cairn(1) does not offer. Prints
 * what the mount became, or the error in full.
 *
 *	-b DIR object directory (may be repeated)   -u DIR upper   -w DIR work   -d HEX digest
 *	-v off|try|require   -f FLAGS (a number)   -i PATH of a user namespace   -W WAYS (a number)
 *	-r N: mount and unmount N times, print the seconds of a mount
 *	-S: only the layer for statfs; prints what can be changed in it through a descriptor
 * mounttool -U|-L TARGET: cairn_umount(), busy or lazy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include "mount/mount-internal.h"

#define BASES_MAX 16

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum cairn_verity verity_of(const char *word)
{
	if (strcmp(word, "require") == 0)
		return CAIRN_VERITY_REQUIRE;
	return strcmp(word, "try") == 0 ? CAIRN_VERITY_TRY : CAIRN_VERITY_OFF;
}

static int report(int r, const struct cairn_error *err, const struct cairn_mount_result *result)
{
	if (r < 0) {
		printf("error code=%d kind=%d %s\n", -r, err->kind, err->text);
		return r == err->code ? 1 : 99;
	}
	printf("loop=%d verity=%d detached=%d\n", result->loop, result->verity, result->detached);
	return 0;
}

static int repeat(int rounds, int fd, const char *target, const struct cairn_mount_options *o,
		  unsigned int ways)
{
	struct cairn_mount_result result;
	struct cairn_error err;
	double mounting = 0, start;
	int r = 0;

	for (int i = 0; i < rounds && r == 0; i++) {
		start = now();
		r = mount_image(fd, target, o, NULL, ways, &result, &err);
		mounting += now() - start;
		if (r == 0)
			r = mount_remove(target, 0, &err);
	}
	printf("%.6f\n", mounting / rounds);
	return report(r, &err, &result);
}

/* Everything that a mount may not let happen, tried on the layer while it can still be reached. */
static int try_to_change(int mnt)
{
	int dir = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct {
		const char *what;
		int failed;
	} tries[] = {
		{"file", openat(mnt, "name", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0},
		{"directory", mkdirat(mnt, "name", 0755) < 0},
		{"symlink", symlinkat("target", mnt, "name") < 0},
		{"unnamed file", openat(mnt, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644) < 0},
		{"mode", fchmod(dir, 0777) < 0},
		{"owner", fchown(dir, 1, 1) < 0},
		{"time", futimens(dir, NULL) < 0},
		{"xattr", fsetxattr(dir, "trusted.x", "y", 1, 0) < 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (!tries[i].failed)
			printf("changed: %s\n", tries[i].what);
	printf("tried %zu\n", ARRAY_SIZE(tries));
	return 0;
}

static int try_statfs_layer(int fd, const struct cairn_mount_options *o)
{
	struct cairn_mount_result none = {0};
	struct cairn_error err = {0};
	struct mount_plan plan;
	bool loop;
	int r = plan_init(&plan, fd, o, NULL, PLAN_STACK, &err);

	if (r == 0)
		r = image_mount(&plan, &loop, &err);
	if (r >= 0)
		r = statfs_mount(&plan, r, &err);
	r = r < 0 ? report(r, &err, &none) : try_to_change(r);
	plan_fini(&plan);
	return r;
}

int main(int argc, char **argv)
{
	const char *bases[BASES_MAX];
	struct cairn_mount_options o = {.basedirs = bases, .idmap_fd = -1};
	struct cairn_mount_result result = {0};
	struct cairn_error err = {0};
	struct cairn_digest digest;
	unsigned int ways = MOUNT_ANY_WAY;
	int c, fd, rounds = 0, only_statfs = 0;

	while ((c = getopt(argc, argv, "b:u:w:d:v:f:i:W:r:SU:L:")) != -1) {
		if (c == 'b' && o.nr_basedirs < BASES_MAX)
			bases[o.nr_basedirs++] = optarg;
		else if (c == 'u')
			o.upperdir = optarg;
		else if (c == 'w')
			o.workdir = optarg;
		else if (c == 'd' && cairn_digest_from_hex(optarg, &digest) == 0)
			o.digest = &digest;
		else if (c == 'v')
			o.verity = verity_of(optarg);
		else if (c == 'f')
			o.flags = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 'i')
			o.idmap_fd = open(optarg, O_RDONLY | O_CLOEXEC);
		else if (c == 'W')
			ways = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 'r')
			rounds = atoi(optarg);
		else if (c == 'S')
			only_statfs = 1;
		else if (c == 'U' || c == 'L')
			return report(cairn_umount(optarg, c == 'L' ? CAIRN_UMOUNT_LAZY : 0, &err),
				      &err, &result);
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;

	o.image_name = argv[optind];
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(argv[optind]);
		return 2;
	}
	if (only_statfs)
		return try_statfs_layer(fd, &o);
	if (rounds > 0)
		return repeat(rounds, fd, argv[optind + 1], &o, ways);
	return report(mount_image(fd, argv[optind + 1], &o, NULL, ways, &result, &err), &err,
		      &result);
}
