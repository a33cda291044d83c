/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Manifests, indexes, configs and references. Oracles: what is refused has words; what is accepted keeps its
 * promises (digests that are valid, numbers below the ceilings); a reference that was read is written
 * and read again the same.
 */
#include <string.h>

#include "fuzz.h"
#include "oci/document.h"

static int look(void *arg, const char *key, const char *value)
{
	const char **last = arg;

	must(strlen(key) <= OCI_KEY_MAX && strlen(value) <= OCI_VALUE_MAX);
	must(!*last || strcmp(*last, key) < 0);
	*last = key;
	return 0;
}

static void check_descriptor(const struct oci_descriptor *d)
{
	const char *last = NULL;

	must(d->media_type && oci_digest_is_valid(d->digest) && d->size <= INT64_MAX);
	must(oci_annotations(d, look, &last) == 0);
}

static void document(const uint8_t *data, size_t size, const char *type)
{
	struct oci_document *doc cleanup(oci_document) = NULL;
	struct cairn_error err = {0};
	struct oci_platform wanted;
	const char *last = NULL;
	int r = oci_document_parse(data, size, type, &doc, &err);

	must((r == 0) == (doc != NULL) && (r == 0 || (err.code == r && err.text[0])));
	if (!doc)
		return;
	must(oci_annotations(&doc->self, look, &last) == 0);
	must(doc->nr_parts <= (doc->kind == OCI_KIND_INDEX ? OCI_INDEX_MAX : OCI_LAYERS_MAX));
	for (size_t i = 0; i < doc->nr_parts; i++)
		check_descriptor(&doc->parts[i]);
	if (doc->subject.digest)
		check_descriptor(&doc->subject);
	if (doc->kind == OCI_KIND_MANIFEST) {
		check_descriptor(&doc->config);
		return;
	}
	oci_platform_set(&wanted, "linux", "arm", "v7");
	(void)oci_platform_choose(doc, &wanted);
}

static void config(const uint8_t *data, size_t size)
{
	struct oci_config *c cleanup(oci_config) = NULL;
	struct cairn_error err = {0};
	const char *list[2];
	int r = oci_config_parse(data, size, &c, &err);

	must((r == 0) == (c != NULL) && (r == 0 || (err.code == r && err.text[0])));
	if (!c)
		return;
	for (size_t i = 0; i < c->nr_diff_ids; i++)
		must(oci_digest_check(c->diff_ids[i], "", NULL) == 0);
	(void)oci_config_list(c, "Env", list, 2);
	(void)oci_label(c, "x");
}

static void reference(const uint8_t *data, size_t size)
{
	struct oci_reference ref cleanup_oci_reference = {0}, again cleanup_oci_reference = {0};
	char *text cleanup_free = strndup((const char *)data, size < 1000 ? size : 1000);
	char *written cleanup_free = NULL, *twice cleanup_free = NULL;
	struct cairn_error err = {0};

	if (oci_reference_parse(text, &ref, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		return;
	}
	written = oci_reference_format(&ref);
	must(oci_reference_parse(written, &again, &err) == 0);
	twice = oci_reference_format(&again);
	must(!strcmp(written, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	document(data, size, NULL);
	document(data, size, OCI_TYPE_INDEX);
	config(data, size);
	reference(data, size);
	return 0;
}
