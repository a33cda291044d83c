/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * gendump SHAPE N: a dump text of N entries for benchmarks, the same each time.
 *
 *	system  nested directories as in an operating system: digests, labels, times, links
 *	plain   the same names without xattrs and digests
 *	flat    one directory, names in no order
 *	links   N/2 files and N/2 hard links to them
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8    /* directories below one another */
#define PATH_ROOM 1024 /* bytes of the longest path made here */

/* State of the pseudo-random numbers (splitmix64): a constant seed, so that runs compare. */
static uint64_t state = 20211014;

static uint64_t next_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return next_random() % n;
}

static bool full; /* xattrs, digests and times */
static uint64_t left;

static const char *const labels[] = {
	"bin_t",    "lib_t",  "usr_t",   "etc_t",  "man_t",   "locale_t", "fonts_t",      "cert_t",
	"shadow_t", "boot_t", "modules", "init_t", "samba_t", "httpd_t",  "systemd_unit", "tmp_t",
};

static void put_hex(unsigned int digits, char *ret)
{
	for (unsigned int i = 0; i < digits; i++)
		ret[i] = "0123456789abcdef"[below(16)];
	ret[digits] = '\0';
}

/* A name as programs have them: one to three words, sometimes a suffix; unique by @nr. */
static void make_name(uint64_t nr, char *ret)
{
	static const char *const words[] = {"lib",   "python", "common", "data",  "core",
					    "util",  "test",   "x86_64", "linux", "module",
					    "theme", "icon",   "locale", "index", "readme"};
	static const char *const suffixes[] = {"",   ".so", ".so.1", ".py",  ".pyc", ".h",
					       ".c", ".mo", ".gz",   ".svg", ".png", ".ko"};

	sprintf(ret, "%s-%s%" PRIu64 "%s", words[below(15)], words[below(15)], nr,
		suffixes[below(12)]);
}

static void put_tail(void)
{
	if (full)
		printf(" security.selinux=system_u:object_r:%s:s0\\x00", labels[below(16)]);
	putchar('\n');
}

static void put_facts(uint64_t size, unsigned int mode, unsigned int nlink)
{
	printf(" %" PRIu64 " %o %u 0 0 0 ", size, mode, nlink);
	if (full)
		printf("%" PRIu64 ".%" PRIu64, 1600000000 + below(100000000), below(1000000000));
	else
		printf("0.0");
}

static void put_external(uint64_t size, unsigned int nlink)
{
	char digest[65];

	put_facts(size, 0100644, nlink);
	put_hex(64, digest);
	printf(" %.2s/%s - %s", digest, digest + 2, full ? digest : "-");
}

/* One name that is no directory. */
static void put_leaf(const char *path)
{
	uint64_t sort = below(100);
	char text[64];

	printf("%s", path);
	if (sort < 12) {
		unsigned int len = 5 + (unsigned int)below(30);

		put_hex(len, text);
		put_facts(len, 0120777, 1);
		printf(" %s - -", text);
	} else if (sort < 20) {
		unsigned int len = 1 + (unsigned int)below(60);

		put_hex(len, text);
		put_facts(len, 0100644, 1);
		printf(" - %s -", text);
	} else {
		put_external(65 + below(1 << (8 + below(16))), 1);
	}
	put_tail();
	left--;
}

/* Directory @path (its line is out) with up to @budget entries in it. */
static void put_children(char *path, unsigned int depth, uint64_t budget)
{
	size_t len = strlen(path);
	uint64_t end = left > budget ? left - budget : 0;
	uint64_t nr = 0;

	while (left > end) {
		path[len] = '/';
		make_name(nr++, path + len + 1);
		if (depth < DEPTH_MAX && below(8) == 0) {
			uint64_t share = 1 + (left - end) / (2 + below(16));

			printf("%s", path);
			put_facts(4096, 0040755, 2);
			printf(" - - -");
			put_tail();
			left--;
			put_children(path, depth + 1, depth < 2 ? share : 1 + below(60));
		} else {
			put_leaf(path);
		}
		if (nr > 40 && depth >= 2)
			break;
	}
	path[len] = '\0';
}

static void put_system(void)
{
	char path[PATH_ROOM] = "";

	printf("/");
	put_facts(4096, 0040755, 2);
	printf(" - - -");
	put_tail();
	left--;
	for (unsigned int i = 0; left; i++) {
		sprintf(path, "/top%u", i);
		printf("%s", path);
		put_facts(4096, 0040755, 2);
		printf(" - - -");
		put_tail();
		left--;
		put_children(path, 1, 50000);
	}
}

static void put_flat(void)
{
	char name[17];

	full = true;
	printf("/ 4096 40755 2 0 0 0 0.0 - - -\n");
	for (left--; left; left--) {
		put_hex(16, name);
		printf("/%s", name);
		put_external(4096, 1);
		putchar('\n');
	}
}

static void put_links(void)
{
	uint64_t files = left / 2;

	full = true;
	printf("/ 4096 40755 2 0 0 0 0.0 - - -\n");
	for (uint64_t i = 0; i < files; i++) {
		printf("/file%09" PRIu64, i);
		put_external(4096, 2);
		putchar('\n');
	}
	for (uint64_t i = 0; i < files; i++)
		printf("/link%09" PRIu64 " 0 @100644 2 0 0 0 0.0 /file%09" PRIu64 " - -\n", i, i);
}

int main(int argc, char **argv)
{
	const char *shape = argc == 3 ? argv[1] : "";

	left = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	full = !strcmp(shape, "system");
	if (left < 2) {
		fputs("usage: gendump system|plain|flat|links N (2 or more)\n", stderr);
		return 2;
	}
	if (full || !strcmp(shape, "plain"))
		put_system();
	else if (!strcmp(shape, "flat"))
		put_flat();
	else if (!strcmp(shape, "links"))
		put_links();
	else
		return 2;
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
