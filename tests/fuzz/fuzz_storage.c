/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The lists of a containers-storage: images.json, a NUL, layers.json, in a directory that also has an image's manifest and
 * a layer. Oracles: refusals have words; what is found has an id of hexadecimal digits, and is in the text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "oci/source.h"

#define DIFF_ID "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static char folder[] = "fuzz-storage.XXXXXX";

static void put(const char *name, const void *data, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void end(void)
{
	static const char *const names[] = {
		"overlay-images/images.json", "overlay-images/ab12/manifest",
		"overlay-images/ab12",        "overlay-images",
		"overlay-layers/layers.json", "overlay-layers",
	};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)remove(path);
	}
	(void)rmdir(folder);
}

static void begin(void)
{
	static const char *const names[] = {"overlay-images", "overlay-images/ab12",
					    "overlay-layers"};
	char path[128];

	must(mkdtemp(folder) != NULL);
	(void)atexit(end);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		must(mkdir(path, 0755) == 0);
	}
	put("overlay-images/ab12/manifest", "{}", 2);
}

static int take(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	(void)arg;
	(void)data;
	(void)size;
	(void)err;
	return 0;
}

/* No layer is there, so that each must be refused with words. */
static void look(struct source *s)
{
	const struct source_sink sink = {.bytes = take};
	struct source_top top = {.bytes = BUF_INIT(1 << 20)};
	struct cairn_error err = {0};
	int r = s->ops->top(s, &top, &err);

	must(r == 0 || (r == err.code && err.text[0]));
	must(r < 0 || (top.bytes.len == 2 && !memcmp(top.bytes.data, "{}", 2)));
	oci_source_top_fini(&top);
	err = (struct cairn_error){0};
	r = s->ops->layer(s, DIFF_ID, &sink, &err);
	must(r < 0 && r == err.code && err.text[0]);
}

static void find(const char *name)
{
	const struct oci_reference ref = {
		.transport = OCI_STORAGE, .path = folder, .tag = (char *)(uintptr_t)name};
	struct cairn_error err = {0};
	struct source *s = NULL;
	int r = oci_source_storage_open(&ref, &s, &err);

	must(r == 0 || (r == err.code && err.text[0]));
	if (r == 0)
		look(s);
	oci_source_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	const uint8_t *nul = size ? (const uint8_t *)memchr(data, '\0', size) : NULL;
	size_t first = nul ? (size_t)(nul - data) : size;

	if (!begun)
		begin();
	begun = true;
	put("overlay-images/images.json", data, first);
	put("overlay-layers/layers.json", nul ? nul + 1 : (const uint8_t *)"[]",
	    nul ? size - first - 1 : 2);
	find("a:1");
	find("ab12");
	return 0;
}
