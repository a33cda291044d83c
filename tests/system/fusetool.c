/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fusetool [-m] [-d] IMAGE DIR [STORE...]: cairn/fuse.h for the tests.
 *
 * -m: metadata only. -d: by cairn_fuse_detached() and cairn_fuse_start() instead of cairn_fuse_mount().
 * Waits for the server and gives its exit status.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cairn/cairn.h>

static void tell(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

static int by_steps(int image, const char *target, const struct cairn_fuse_options *o, pid_t *pid,
		    struct cairn_error *err)
{
	int dev, mnt, r = cairn_fuse_detached(o, &dev, &mnt, err);

	if (r < 0)
		return r;
	r = cairn_fuse_start(dev, image, o, pid, err);
	close(dev);
	if (!r && move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		perror("move_mount");
		r = -1;
	}
	close(mnt);
	return r;
}

int main(int argc, char **argv)
{
	struct cairn_store *stores[16];
	struct cairn_fuse_options o = {.stores = (const struct cairn_store *const *)stores,
				       .log = tell};
	struct cairn_error err = {0};
	int c, detached = 0, image, status, r;
	pid_t pid;

	while ((c = getopt(argc, argv, "md")) > 0) {
		if (c == 'm')
			o.flags |= CAIRN_FUSE_METADATA;
		else
			detached = 1;
	}
	if (argc - optind < 2)
		return 2;
	image = open(argv[optind], O_RDONLY);
	for (int i = optind + 2; i < argc && o.nr_stores < 16; i++) {
		if (cairn_store_open(argv[i], CAIRN_STORE_READ_ONLY, &stores[o.nr_stores++], &err) <
		    0)
			return puts(err.text), 1;
	}
	r = detached ? by_steps(image, argv[optind + 1], &o, &pid, &err)
		     : cairn_fuse_mount(image, argv[optind + 1], &o, &pid, &err);
	if (r < 0)
		return printf("error code=%d %s\n", r, err.text), 1;
	puts("ready");
	fflush(stdout);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
