/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The life of a server.
 *
 *	what needs privileges: descriptors of the stores, of the device for each thread
 *	the sandbox
 *	the image is read to memory, its digest compared, its structure checked
 *	INIT is answered, the caller is told, the threads start
 *	until the kernel says that the mount is gone (ENODEV)
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "digest/sha2.h"
#include "digest/verity.h"
#include "erofs/format.h"
#include "fuse/server-internal.h"
#include "sys/contents.h"
#include "sys/verity.h"

#define THREADS_MIN  4 /* one that waits for a disk must not stop all the others */
#define THREADS_MAX  16
#define THREAD_STACK ((size_t)256 << 10)

/* Inode number of the first user namespace in /proc/PID/ns (PROC_USER_INIT_INO of the kernel). */
#define FIRST_USER_NAMESPACE 0xeffffffdu

/* One thread's place: its descriptor of the device and its buffers. */
struct seat {
	struct server *server;
	int dev;
	uint8_t *
		memory; /* request, then a page that ends with the reply's header, then the reply */
	pthread_t thread;
	int error;
};

#define SEAT_MEMORY (PROTOCOL_REQUEST_MAX + 4096 + REPLY_MAX)

static unsigned int nr_processors(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned int)CPU_COUNT(&cpus);
}

static unsigned int nr_threads(const struct cairn_fuse_options *options)
{
	const unsigned int own = MAX(2 * nr_processors(), (unsigned int)THREADS_MIN);

	return MIN(options->jobs ? options->jobs : own, (unsigned int)THREADS_MAX);
}

/* --- one thread --------------------------------------------------------------------------------- */

/* Takes one request and answers it. Returns 1, 0 when the mount is gone, or a negative errno. */
static int serve_one(struct seat *seat)
{
	struct reply reply = {.data = seat->memory + PROTOCOL_REQUEST_MAX + 4096};
	ssize_t n = read(seat->dev, seat->memory, PROTOCOL_REQUEST_MAX);
	int r;

	if (n < 0) {
		/* ENOENT: the request was interrupted before we got it. */
		if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
			return 1;
		return errno == ENODEV ? 0 : -errno;
	}
	r = handle(seat->server, seat->memory, (size_t)n, &reply);
	if (r <= 0)
		return r < 0 ? r : 1;
	n = write(seat->dev, reply.data - sizeof(struct fuse_out_header),
		  sizeof(struct fuse_out_header) + reply.size);
	/* ENOENT: it was interrupted meanwhile. Another refusal is of this reply alone; the next read
	 * tells if the mount is gone. */
	return n < 0 && errno == ENODEV ? 0 : 1;
}

static void *serve_thread(void *arg)
{
	struct seat *seat = (struct seat *)arg;
	int r;

	do
		r = serve_one(seat);
	while (r > 0);
	seat->error = r;
	return NULL;
}

/* --- all of them ---------------------------------------------------------------------------------- */

static void seats_fini(struct seat *seats, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (i && seats[i].dev >= 0 && seats[i].dev != seats[0].dev)
			close(seats[i].dev);
		if (seats[i].memory)
			munmap(seats[i].memory, SEAT_MEMORY);
	}
}

/* A descriptor of its own for each thread, so that they do not meet at one lock. Where that cannot be
 * had they share. */
static int clone_device(int dev_fd)
{
	uint32_t source = (uint32_t)dev_fd;
	int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (dev >= 0 && ioctl(dev, FUSE_DEV_IOC_CLONE, &source) < 0) {
		close(dev);
		dev = -1;
	}
	return dev < 0 ? dev_fd : dev;
}

static int seats_init(struct seat *seats, unsigned int nr, struct server *s, int dev_fd)
{
	for (unsigned int i = 0; i < nr; i++) {
		void *memory = mmap(NULL, SEAT_MEMORY, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return -ENOMEM;
		seats[i] = (struct seat){.server = s,
					 .dev = i ? clone_device(dev_fd) : dev_fd,
					 .memory = (uint8_t *)memory};
	}
	return 0;
}

/* Runs the threads until the mount is gone. When fewer can be made, fewer serve. */
static int serve_all(struct seat *seats, unsigned int nr)
{
	pthread_attr_t attr;
	unsigned int started = 1;
	int r;

	if (nr > 1)
		(void)ahead_new(seats[0].server, &seats[0].server->ahead);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	while (started < nr &&
	       !pthread_create(&seats[started].thread, &attr, serve_thread, &seats[started]))
		started++;
	(void)pthread_attr_destroy(&attr);
	if (started == 1) {
		ahead_free(seats[0].server->ahead);
		seats[0].server->ahead = NULL;
	}
	survey(seats[0].server);
	(void)serve_thread(&seats[0]);
	r = seats[0].error;
	for (unsigned int i = 1; i < started; i++) {
		(void)pthread_join(seats[i].thread, NULL);
		if (!r)
			r = seats[i].error;
	}
	return r;
}

/* --- the image ---------------------------------------------------------------------------------- */

static int check_digest(const struct contents *c, const struct cairn_digest *want,
			struct cairn_error *err)
{
	char found_hex[CAIRN_DIGEST_HEX_MAX], want_hex[CAIRN_DIGEST_HEX_MAX];
	struct cairn_digest found[VERITY_ALGS_MAX];
	int r = verity_digest_data(c->data, c->size, CAIRN_ALG_BIT(want->alg), found);

	if (r < 0)
		return error_errno(err, r, "digest the image");
	if (!memcmp(&found[0], want, sizeof(*want)))
		return 0;
	(void)cairn_digest_to_hex(&found[0], found_hex);
	(void)cairn_digest_to_hex(want, want_hex);
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "the image has digest %s, expected %s",
			 found_hex, want_hex);
}

static int open_image(struct server *s, int image_fd, struct contents *c, struct cairn_error *err)
{
	const struct cairn_fuse_options *o = s->options;
	struct inode root;
	enum cairn_alg alg;
	int r = contents_read(image_fd, "the image", c, err);

	if (!r)
		contents_freeze(c);
	if (!r && o->digest)
		r = check_digest(c, o->digest, err);
	if (!r)
		r = image_open(&s->view.img, c->data, c->size, err);
	if (!r && o->flags & CAIRN_FUSE_CHECK)
		r = image_check(&s->view.img, &alg, err);
	if (!r)
		r = image_inode(&s->view.img, s->view.img.root_nid, &root, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(root.mode))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "the root is not a directory");
	if (o->flags & CAIRN_FUSE_METADATA)
		s->view.flags |= VIEW_METADATA;
	if (s->view.img.flags & HEADER_FLAG_HAS_ACL)
		s->view.flags |= VIEW_ACL;
	return 0;
}

/* --- the whole ---------------------------------------------------------------------------------- */

/* Whether the root who asks is the machine's, not that of some namespace. */
static bool is_machines_root(void)
{
	struct stat st;

	return !geteuid() && !stat("/proc/self/ns/user", &st) && st.st_ino == FIRST_USER_NAMESPACE;
}

static int init_server(struct server *s, const struct cairn_fuse_options *o, int dev_fd,
		       struct cairn_error *err)
{
	const struct reader_options options = {
		.flags = READER_KEEP_TREES |
			 (o->flags & CAIRN_FUSE_UNVERIFIED ? READER_UNVERIFIED : 0),
		.jobs = nr_processors(),
	};
	int r = 0;

	*s = (struct server){.options = o, .statfs_fd = -1, .dev = dev_fd};
	sha2_load(); /* in the sandbox no library can be opened */
	(void)pthread_mutex_init(&s->log_lock, NULL);
	(void)pthread_mutex_init(&s->opens_lock, NULL);
	s->trusted = is_machines_root();
	s->check_access = !(o->flags & FUSE_OWNER_ONLY);
	if (o->nr_stores && !(o->mount_flags & CAIRN_MOUNT_IMAGE_STATFS))
		s->statfs_fd = o->stores[0]->objects;
	/* Files without fs-verity are never given away, and it costs an answer for each open. */
	if (s->trusted && !(o->flags & (CAIRN_FUSE_METADATA | CAIRN_FUSE_UNVERIFIED)))
		for (size_t i = 0; i < o->nr_stores; i++)
			if (o->stores[i]->objects >= 0 && verity_supported(o->stores[i]->objects))
				s->passthrough = true;
	if (!(o->flags & CAIRN_FUSE_METADATA))
		r = reader_new(o->stores, o->nr_stores, &options, &s->reader);
	return r < 0 ? error_errno(err, r, "serve the image") : 0;
}

/* The kernel's first request tells what it can do; until it is answered nobody gets into the mount. */
static int wait_for_init(struct seat *seat, struct cairn_error *err)
{
	int r = 1;

	while (r > 0 && !seat->server->ready)
		r = serve_one(seat);
	if (r == -EPROTO)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "the kernel's FUSE is older than 7.%d (Linux 5.4)",
				 PROTOCOL_MINOR_MIN);
	if (r > 0)
		return 0;
	return error_errno(err, r < 0 ? r : -ENODEV, "serve the image");
}

int fuse_serve(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
	       void (*ready)(void *arg), void *arg, struct cairn_error *err)
{
	struct contents image cleanup_contents = {0};
	struct seat seats[THREADS_MAX] = {{NULL}};
	const unsigned int nr = nr_threads(options);
	struct server s;
	int r;

	r = init_server(&s, options, dev_fd, err);
	if (!r) {
		r = seats_init(seats, nr, &s, dev_fd);
		if (r < 0)
			error_errno(err, r, "serve the image");
	}
	if (!r)
		r = sandbox_enter(&s, err);
	if (!r)
		r = open_image(&s, image_fd, &image, err);
	if (!r)
		r = wait_for_init(&seats[0], err);
	if (!r) {
		if (ready)
			ready(arg);
		r = serve_all(seats, nr);
		if (r < 0)
			error_errno(err, r, "serve the image");
	}
	seats_fini(seats, nr);
	passthrough_fini(&s);
	ahead_free(s.ahead);
	reader_free(s.reader);
	(void)pthread_mutex_destroy(&s.log_lock);
	return r;
}
