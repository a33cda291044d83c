/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What --root says: images, and files with the digests of images in them. */
#include "roots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "cmd.h"
#include "source.h"

#define ROOTS_MAX 65536 /* digests in all files */

void roots_fini(struct roots *r)
{
	for (size_t i = 0; i < r->nr_images; i++)
		close(r->image[i]);
	free(r->image);
	free(r->digest);
}

static bool add_digest(struct roots *r, const char *hex, size_t len)
{
	char text[CAIRN_DIGEST_HEX_MAX];
	struct cairn_digest *more;

	memcpy(text, hex, len);
	text[len] = '\0';
	if (r->nr == ROOTS_MAX)
		return false;
	more = reallocarray(r->digest, r->nr + 1, sizeof(*more));
	if (!more)
		return false;
	r->digest = more;
	if (!cairn_digest_from_hex(text, &more[r->nr]))
		r->nr++;
	return true;
}

/* Every run of exactly as many hexadecimal digits as a digest has, whatever is around it: lists of
 * digests, boot entries, kernels with their command line in them. */
static bool find_digests(struct roots *r, const char *text, size_t size)
{
	size_t start = 0;

	for (size_t i = 0; i <= size; i++) {
		if (i < size && hex_digit(text[i]) >= 0)
			continue;
		if ((i - start == 64 || i - start == 128) &&
		    !add_digest(r, text + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static int read_root(struct roots *r, const char *name, int fd)
{
	char *data = NULL;
	size_t size = 0, len = 0;
	bool ok = true;
	ssize_t n;

	do {
		char *more = size - len < 65536 ? realloc(data, size = 2 * size + 131072) : data;

		if (!more) {
			free(data);
			return talk_error(-ENOMEM, NULL, name);
		}
		data = more;
		n = read(fd, data + len, size - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		free(data);
		return talk_error(-errno, NULL, name);
	}
	ok = find_digests(r, data, len);
	free(data);
	if (!ok)
		talk("%s: too many digests", name);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

static int add_root(struct roots *r, const char *name);

static int add_directory(struct roots *r, const char *name)
{
	DIR *dir = opendir(name);
	int status = EXIT_DONE;

	if (!dir)
		return talk_error(-errno, NULL, name);
	for (struct dirent *e; status == EXIT_DONE && (e = readdir(dir));) {
		char *path;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (asprintf(&path, "%s/%s", name, e->d_name) < 0) {
			status = EXIT_FAILED;
			break;
		}
		status = add_root(r, path);
		free(path);
	}
	closedir(dir);
	return status;
}

static int add_root(struct roots *r, const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), status;
	struct stat st;
	int *more;

	if (fd < 0 || fstat(fd, &st) < 0)
		return talk_error(-errno, NULL, name);
	if (S_ISREG(st.st_mode) && cairn_image_probe(fd) >= 0) {
		more = reallocarray(r->image, r->nr_images + 1, sizeof(*more));
		if (!more)
			return talk_error(-ENOMEM, NULL, name);
		r->image = more;
		more[r->nr_images++] = fd;
		return EXIT_DONE;
	}
	status = S_ISDIR(st.st_mode)                           ? add_directory(r, name)
		 : S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ? read_root(r, name, fd)
							       : talk_error(-EINVAL, NULL, name);
	close(fd);
	return status;
}

int roots_read(struct roots *r, const struct opt_list *names)
{
	int status = EXIT_DONE;

	for (unsigned int i = 0; i < names->nr && status == EXIT_DONE; i++)
		status = add_root(r, names->text[i]);
	return status;
}
