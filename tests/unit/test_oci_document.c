/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Indexes, manifests and configs: what is read, what is refused and with which words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/document.h"

#define HEX "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define DESC(type, more)                                                                           \
	"{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX "\",\"size\":2" more "}"
#define CONFIG DESC(OCI_TYPE_CONFIG, "")
#define LAYER  DESC(OCI_TYPE_LAYER "+gzip", "")

static int parse(const char *text, const char *type, struct oci_document **ret,
		 struct cairn_error *err)
{
	return oci_document_parse(text, strlen(text), type, ret, err);
}

static void test_manifest(void **state)
{
	struct oci_document *doc cleanup(oci_document) = NULL;

	(void)state;
	assert_int_equal(parse("{\"schemaVersion\":2,\"unknown\":1.5e3,\"config\":" CONFIG
			       ",\"layers\":[" LAYER "," LAYER
			       "],\"annotations\":{\"b\":\"2\",\"a\":\"1\"},\"subject\":" CONFIG
			       "}",
			       NULL, &doc, NULL),
			 0);
	assert_int_equal(doc->kind, OCI_KIND_MANIFEST);
	assert_string_equal(doc->media_type, OCI_TYPE_MANIFEST);
	assert_true(doc->is_image);
	assert_int_equal(doc->nr_parts, 2);
	assert_int_equal(doc->parts[1].size, 2);
	assert_string_equal(doc->parts[1].digest, "sha256:" HEX);
	assert_string_equal(oci_annotation(&doc->self, "b"), "2");
	assert_null(oci_annotation(&doc->parts[0], "b"));
	assert_non_null(doc->subject.digest);
}

/* text, the announced type, words that the refusal must have */
static const struct {
	const char *text, *type, *words;
} refused[] = {
	{"", NULL, "not JSON"},
	{"[]", NULL, "not a JSON object"},
	{"{}x", NULL, "not JSON"},
	{"{}", NULL, "'schemaVersion' is not 2"},
	{"{\"schemaVersion\":2.0}", NULL, "not an integer"},
	{"{\"schemaVersion\":2e0}", NULL, "not an integer"},
	{"{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, "schema 1"},
	{"{\"schemaVersion\":2,\"schemaVersion\":2}", NULL, "duplicate"},
	{"{\"schemaVersion\":2,\"Layers\":[]}", NULL, "differs only in case from 'layers'"},
	{"{\"schemaVersion\":2,\"manifests\":[],\"config\":" CONFIG "}", NULL,
	 "'config' does not belong in it"},
	{"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", OCI_TYPE_MANIFEST,
	 "'manifests' does not belong"},
	{"{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_INDEX "\",\"manifests\":[]}",
	 OCI_TYPE_MANIFEST, "but was announced as"},
	{"{\"schemaVersion\":2,\"mediaType\":\"text/plain\",\"manifests\":[]}", NULL, "of type"},
	{"{\"schemaVersion\":2}", NULL, "without 'config'"},
	{"{\"schemaVersion\":2,\"config\":" CONFIG "}", NULL, "without 'layers'"},
	{"{\"schemaVersion\":2,\"config\":3,\"layers\":[]}", NULL, "'config' is not an object"},
	{"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[1]}", NULL, "layers[0]"},
	{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX
	 "\",\"size\":-1},\"layers\":[]}",
	 NULL, "'size' is negative"},
	{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX
	 "\",\"size\":9223372036854775808},\"layers\":[]}",
	 NULL, "not JSON"},
	{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX
	 "\"},\"layers\":[]}",
	 NULL, "without 'size'"},
	{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:12\",\"size\":1},"
	 "\"layers\":[]}",
	 NULL, "is not a digest"},
	{"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX
	 "\",\"size\":1,\"Size\":2},\"layers\":[]}",
	 NULL, "differs only in case"},
	{"{\"schemaVersion\":2,\"annotations\":{\"a\":1},\"config\":" CONFIG ",\"layers\":[]}",
	 NULL, "annotation 'a' is not a string"},
	{"{\"schemaVersion\":2,\"x\":\"\xff\"}", NULL, "not JSON"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct oci_document *doc = NULL;
		struct cairn_error err = {0};

		assert_true(parse(refused[i].text, refused[i].type, &doc, &err) < 0);
		if (!strstr(err.text, refused[i].words))
			fail_msg("%s: %s", refused[i].text, err.text);
		assert_null(doc);
	}
}

static void test_depth(void **state)
{
	char text[300] = "{\"x\":";
	struct oci_document *doc = NULL;
	struct cairn_error err = {0};

	(void)state;
	memset(text + 5, '[', 64);
	memset(text + 69, ']', 64);
	strcpy(text + 133, "}");
	assert_int_equal(parse(text, NULL, &doc, &err), -EINVAL);
	assert_non_null(strstr(err.text, "nested deeper than 64"));
	/* Brackets in a text are none. */
	memset(text + 5, '[', 128);
	text[5] = text[132] = '"';
	assert_int_equal(parse(text, NULL, &doc, &err), -EINVAL);
	assert_non_null(strstr(err.text, "schemaVersion"));
}

static const char *choose(const char *manifests, const char *platform)
{
	static struct oci_document *doc;
	char text[8192];
	struct oci_platform wanted;
	const struct oci_descriptor *d;

	oci_document_free(doc);
	doc = NULL;
	snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[%s]}", manifests);
	assert_int_equal(parse(text, NULL, &doc, NULL), 0);
	assert_int_equal(doc->kind, OCI_KIND_INDEX);
	assert_int_equal(oci_platform_parse(platform, &wanted, NULL), 0);
	d = oci_platform_choose(doc, &wanted);
	return d ? oci_annotation(d, "n") ?: "?" : "none";
}

#define ENTRY(arch, n, more, notes)                                                                \
	DESC(OCI_TYPE_MANIFEST, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch         \
				"\"" more "},\"annotations\":{\"n\":\"" n "\"" notes "}")
#define ZSTD ",\"io.github.containers.compression.zstd\":\"true\""

static void test_choice(void **state)
{
	(void)state;
	assert_string_equal(choose("", "amd64"), "none");
	assert_string_equal(
		choose(ENTRY("arm64", "1", "", "") "," ENTRY("amd64", "2", "", ""), "amd64"), "2");
	/* Equal ones: the first; but zstd before gzip. */
	assert_string_equal(
		choose(ENTRY("amd64", "1", "", "") "," ENTRY("amd64", "2", "", ""), "amd64"), "1");
	assert_string_equal(
		choose(ENTRY("amd64", "1", "", "") "," ENTRY("amd64", "2", "", ZSTD), "amd64"),
		"2");
	/* Variants: the newest that still runs. */
#define VARIANTS                                                                                   \
	ENTRY("arm", "6", ",\"variant\":\"v6\"", "")                                               \
	"," ENTRY("arm", "7", ",\"variant\":\"v7\"", "") "," ENTRY("arm", "8",                     \
								   ",\"variant\":\"v8\"", "")
	assert_string_equal(choose(VARIANTS, "arm"), "7");
	assert_string_equal(choose(VARIANTS, "linux/arm/v6"), "6");
	assert_string_equal(choose(VARIANTS, "linux/arm/v5"), "none");
	assert_string_equal(choose(ENTRY("amd64", "2", ",\"variant\":\"v2\"", ""), "amd64"),
			    "none");
	/* Features that we do not know rank behind none; attestations are no images. */
	assert_string_equal(choose(ENTRY("amd64", "f", ",\"os.features\":[\"x\"]",
					 "") "," ENTRY("amd64", "p", "", ""),
				   "amd64"),
			    "p");
	assert_string_equal(choose(ENTRY("amd64", "a", "",
					 ",\"vnd.docker.reference.type\":\"attestation-manifest\""),
				   "amd64"),
			    "none");
	assert_string_equal(
		choose(ENTRY("unknown", "u", "", "") "," ENTRY("386", "i", "", ""), "amd64"),
		"none");
	/* Without a platform: only if it is alone. */
	assert_string_equal(choose(DESC(OCI_TYPE_MANIFEST, ""), "amd64"), "?");
	assert_string_equal(
		choose(DESC(OCI_TYPE_MANIFEST, "") "," ENTRY("arm64", "1", "", ""), "amd64"),
		"none");
	assert_string_equal(choose(DESC("text/plain", ""), "amd64"), "none");
}

static void test_types(void **state)
{
	(void)state;
	assert_int_equal(oci_kind_of(OCI_TYPE_LAYER "+zstd"), OCI_KIND_LAYER);
	assert_int_equal(
		oci_kind_of("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
		OCI_KIND_LAYER);
	assert_int_equal(oci_kind_of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
			 OCI_KIND_LAYER);
	assert_int_equal(oci_kind_of(OCI_TYPE_LAYER "+xz"), OCI_KIND_UNKNOWN);
	assert_int_equal(oci_kind_of(OCI_TYPE_LAYER "+gzip+encrypted"), OCI_KIND_REFUSED);
	assert_int_equal(oci_kind_of("application/vnd.docker.distribution.manifest.v1+prettyjws"),
			 OCI_KIND_REFUSED);
	assert_int_equal(oci_type_compression(DOCKER_TYPE_LAYER ".gzip"), OCI_GZIP);
	assert_int_equal(oci_type_compression(OCI_TYPE_LAYER "+zstd"), OCI_ZSTD);
	assert_int_equal(oci_type_compression(OCI_TYPE_LAYER), OCI_PLAIN);
}

#define ROOTFS ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}"

static void test_config(void **state)
{
	static const char text[] =
		"{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"" ROOTFS
		",\"config\":{\"Labels\":{\"k\":\"v\"},\"Env\":[\"A=1\",\"B=2\"],\"User\":\"me\"},"
		"\"history\":[{\"created_by\":\"x\"},{\"empty_layer\":true}]}";
	static const struct {
		const char *text, *words;
	} wrong[] = {
		{"{}", "without 'os'"},
		{"{\"os\":\"linux\"}", "without 'architecture'"},
		{"{\"os\":\"linux\",\"architecture\":\"x\"}", "without 'rootfs'"},
		{"{\"os\":\"linux\",\"architecture\":\"x\",\"rootfs\":{\"type\":\"x\"}}",
		 "is not 'layers'"},
		{"{\"os\":\"linux\",\"architecture\":\"x\",\"rootfs\":{\"type\":\"layers\"}}",
		 "without 'diff_ids'"},
		{"{\"os\":\"linux\",\"architecture\":\"x\",\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[\"x\"]}}",
		 "is not a digest"},
		{"{\"os\":\"linux\",\"architecture\":\"x\",\"Rootfs\":{}" ROOTFS "}",
		 "differs only in case"},
		{"{\"os\":\"linux\",\"architecture\":\"x\"" ROOTFS ",\"config\":{\"env\":[]}}",
		 "differs only in case from 'Env'"},
	};
	struct oci_config *config cleanup(oci_config) = NULL;
	const char *list[1];

	(void)state;
	assert_int_equal(oci_config_parse(text, strlen(text), &config, NULL), 0);
	assert_string_equal(config->platform.architecture, "arm64");
	assert_string_equal(config->platform.variant, "");
	assert_int_equal(config->nr_diff_ids, 1);
	assert_string_equal(oci_label(config, "k"), "v");
	assert_null(oci_label(config, "none"));
	assert_string_equal(oci_config_text(config, "User"), "me");
	assert_int_equal(oci_config_list(config, "Env", list, 1), 2);
	assert_string_equal(list[0], "A=1");
	assert_int_equal(config->nr_history, 2);
	assert_true(config->history[1].empty_layer && !config->history[0].empty_layer);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct oci_config *none = NULL;
		struct cairn_error err = {0};

		assert_true(oci_config_parse(wrong[i].text, strlen(wrong[i].text), &none, &err) <
			    0);
		if (!strstr(err.text, wrong[i].words))
			fail_msg("%s: %s", wrong[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),    cmocka_unit_test(test_choice),
		cmocka_unit_test(test_types),    cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
