/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Content digests, references, platforms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "oci/document.h"
#include "oci/name.h"

#define HEX64 "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void test_digests(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"sha256:" HEX64, true},
		{"sha512:" HEX64 HEX64, true},
		{"blake3:" HEX64, true},
		{"md5:abc", true}, /* unknown algorithms are carried */
		{"sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", true},
		{"multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", true},
		{"sha256:" HEX64 "0", false},
		{"sha256:44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A", false},
		{"sha256:", false},
		{"sha256", false},
		{":" HEX64, false},
		{"", false},
		{"sha256:../../etc/passwd", false},
		{"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff/a", false},
		{"a..b:00", false},
		{"+a:00", false},
		{"a:0 0", false},
	};
	char out[OCI_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(oci_digest_is_valid(cases[i].text), cases[i].valid);
	assert_int_equal(oci_hash_data(NULL, "{}", 2, out), 0);
	assert_string_equal(out, "sha256:" HEX64); /* oci-image.md §1 */
	assert_int_equal(oci_hash_data("sha512:", "", 0, out), 0);
	assert_memory_equal(out, "sha512:cf83e1357eefb8bd", 23);
	assert_int_equal(oci_digest_check("md5:abc", "x", NULL), -ENOTSUP);
	assert_int_equal(oci_digest_check("nonsense", "x", NULL), -EINVAL);
}

#define D "@sha256:" HEX64

static void test_references(void **state)
{
	/* text, transport (0: refused), path, host, name, tag, digest, as it is written again */
	static const struct {
		const char *text;
		enum oci_transport transport;
		const char *path, *host, *name, *tag, *digest, *again;
	} cases[] = {
		{"busybox", OCI_REGISTRY, NULL, "docker.io", "library/busybox", "latest", NULL,
		 "docker://docker.io/library/busybox:latest"},
		{"docker://a/b", OCI_REGISTRY, NULL, "docker.io", "a/b", "latest", NULL,
		 "docker://docker.io/a/b:latest"},
		{"index.docker.io/b:1", OCI_REGISTRY, NULL, "docker.io", "library/b", "1", NULL,
		 "docker://docker.io/library/b:1"},
		{"localhost/b", OCI_REGISTRY, NULL, "localhost", "b", "latest", NULL,
		 "docker://localhost/b:latest"},
		{"127.0.0.1:5000/test/tiny:v1.2_x-y", OCI_REGISTRY, NULL, "127.0.0.1:5000",
		 "test/tiny", "v1.2_x-y", NULL, "docker://127.0.0.1:5000/test/tiny:v1.2_x-y"},
		{"[::1]:5000/a", OCI_REGISTRY, NULL, "[::1]:5000", "a", "latest", NULL,
		 "docker://[::1]:5000/a:latest"},
		{"q.io/a" D, OCI_REGISTRY, NULL, "q.io", "a", NULL, D + 1, "docker://q.io/a" D},
		{"q.io/a:t" D, OCI_REGISTRY, NULL, "q.io", "a", "t", D + 1, "docker://q.io/a:t" D},
		{"q.io/a__b/c-----d.e_f", OCI_REGISTRY, NULL, "q.io", "a__b/c-----d.e_f", "latest",
		 NULL, "docker://q.io/a__b/c-----d.e_f:latest"},
		{"Host/a", OCI_REGISTRY, NULL, "Host", "a", "latest", NULL,
		 "docker://Host/a:latest"},
		{"oci:dir", OCI_LAYOUT, "dir", NULL, NULL, NULL, NULL, "oci:dir"},
		{"oci:/a:b/c", OCI_LAYOUT, "/a:b/c", NULL, NULL, NULL, NULL, "oci:/a:b/c"},
		{"oci:/a/c:t", OCI_LAYOUT, "/a/c", NULL, NULL, "t", NULL, "oci:/a/c:t"},
		{"oci:/a@b/c:t" D, OCI_LAYOUT, "/a@b/c", NULL, NULL, "t", D + 1, "oci:/a@b/c:t" D},
		{"oci-archive:x.tar:t", OCI_ARCHIVE, "x.tar", NULL, NULL, "t", NULL,
		 "oci-archive:x.tar:t"},
		{"docker-archive:x.tar", OCI_DOCKER_ARCHIVE, "x.tar", NULL, NULL, NULL, NULL,
		 "docker-archive:x.tar"},
		{"docker-archive:x.tar:q.io:5/a:b", OCI_DOCKER_ARCHIVE, "x.tar", NULL, NULL,
		 "q.io:5/a:b", NULL, "docker-archive:x.tar:q.io:5/a:b"},
		{"docker-archive:x.tar:@3", OCI_DOCKER_ARCHIVE, "x.tar", NULL, NULL, NULL, NULL,
		 "docker-archive:x.tar:@3"},
		{"dir:/x:y", OCI_DIR, "/x:y", NULL, NULL, NULL, NULL, "dir:/x:y"},
		{"tar:l.tar", OCI_TAR, "l.tar", NULL, NULL, NULL, NULL, "tar:l.tar"},
		{"containers-storage:[/s]q.io/a:b", OCI_STORAGE, "/s", NULL, NULL, "q.io/a:b", NULL,
		 "containers-storage:[/s]q.io/a:b"},
		{"containers-storage:a", OCI_STORAGE, NULL, NULL, NULL, "a", NULL,
		 "containers-storage:a"},
		{"", 0},
		{"/a", 0},
		{"./a", 0},
		{"docker://", 0},
		{"a:", 0},
		{"a:-b", 0},
		{"a@sha256:12", 0},
		{"a/B", 0},
		{"q.io/a//b", 0},
		{"q.io/a/../b", 0},
		{"q.io/a/", 0},
		{"q.io/_a", 0},
		{"q.io/a___b", 0},
		{"q.io:x/a", 0},
		{"q.io:123456/a", 0},
		{"http://q.io/a", 0},
		{"-q.io/a", 0},
		{"oci:", 0},
		{"oci:a:", 0},
		{"oci:a:b c", 0},
		{"oci:a:---b", 0},
		{"docker-archive:a:", 0},
		{"docker-archive:a:@", 0},
		{"docker-archive:a:@-1", 0},
		{"dir:", 0},
		{"containers-storage:[]a", 0},
		{"containers-storage:[a", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct oci_reference ref cleanup_oci_reference = {0};
		struct cairn_error err = {0};
		char *again cleanup_free = NULL;
		int r = oci_reference_parse(cases[i].text, &ref, &err);

		if (!cases[i].transport) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(err.kind, CAIRN_ERROR_USAGE);
			continue;
		}
		if (r)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_int_equal(ref.transport, cases[i].transport);
#define SAME(field)                                                                                \
	do {                                                                                       \
		assert_int_equal(!ref.field, !cases[i].field);                                     \
		if (ref.field)                                                                     \
			assert_string_equal(ref.field, cases[i].field);                            \
	} while (0)
		SAME(path);
		SAME(host);
		SAME(name);
		SAME(tag);
		SAME(digest);
#undef SAME
		again = oci_reference_format(&ref);
		assert_string_equal(again, cases[i].again);
	}
}

static void test_platform_words(void **state)
{
	static const struct {
		const char *text, *normal; /* NULL: refused */
	} cases[] = {
		{"amd64", "linux/amd64"},
		{"Linux/X86_64", "linux/amd64"},
		{"linux/amd64/v1", "linux/amd64"},
		{"linux/amd64/v3", "linux/amd64/v3"},
		{"aarch64", "linux/arm64"},
		{"arm64/v8", "arm64/v8"},
		{"linux/arm64/8", "linux/arm64"},
		{"armhf", "linux/arm/v7"},
		{"arm", "linux/arm/v7"},
		{"linux/arm/6", "linux/arm/v6"},
		{"armel", "linux/arm/v6"},
		{"i686", "linux/386"},
		{"macos/arm64", "darwin/arm64"},
		{"riscv64", "linux/riscv64"},
		{"", NULL},
		{"a/b/c/d", NULL},
		{"a//b", NULL},
		{"/", NULL},
	};
	char text[OCI_PLATFORM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct oci_platform p;
		int r = oci_platform_parse(cases[i].text, &p, NULL);

		assert_int_equal(r, cases[i].normal ? 0 : -EINVAL);
		if (cases[i].normal)
			assert_string_equal(oci_platform_format(&p, text), cases[i].normal);
	}
}

static void test_platform_rank(void **state)
{
	struct oci_platform wanted, image;

	(void)state;
	oci_platform_parse("linux/arm/v7", &wanted, NULL);
	oci_platform_parse("linux/arm/v7", &image, NULL);
	assert_int_equal(oci_platform_rank(&image, &wanted), 100);
	oci_platform_parse("linux/arm/v6", &image, NULL);
	assert_true(oci_platform_rank(&image, &wanted) > 0);
	oci_platform_parse("linux/arm/v8", &image, NULL);
	assert_int_equal(oci_platform_rank(&image, &wanted), 0);
	oci_platform_parse("linux/amd64", &image, NULL);
	assert_int_equal(oci_platform_rank(&image, &wanted), 0);

	oci_platform_parse("linux/amd64", &wanted, NULL);
	oci_platform_parse("linux/amd64/v3", &image, NULL);
	assert_int_equal(oci_platform_rank(&image, &wanted), 0);
	assert_true(oci_platform_rank(&wanted, &image) > 0);
	oci_platform_parse("linux/386", &image, NULL);
	assert_int_equal(oci_platform_rank(&image, &wanted), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_platform_words),
		cmocka_unit_test(test_platform_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
