/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The list of images that a server shows (docs/format/index.md). */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/names.h"
#include "sys/io.h"
#include "transfer/transfer.h"

#define HEAD "cairn-index 1\n"

/* enum index_kind */
static const char *const index_words[] = {"image", "container"};

/* --- writing --------------------------------------------------------------------------------- */

struct printing {
	const struct cairn_store *store;
	struct buf *to;
	uint64_t nr[2]; /* lines of each kind */
	struct cairn_error *err;
};

/* "WORD ALG:HEX SIZE NAME" */
static int print_line(struct printing *p, enum index_kind kind, const struct cairn_digest *id,
		      uint64_t size, const char *name)
{
	char head[CAIRN_DIGEST_HEX_MAX + 64];
	int n = snprintf(head, sizeof(head), "%s %s:", index_words[kind],
			 id->alg == CAIRN_SHA256 ? "sha256" : "sha512"),
	    r;

	n += (int)cairn_digest_to_hex(id, head + n);
	snprintf(head + n, sizeof(head) - (size_t)n, " %llu ", (unsigned long long)size);
	r = buf_put(p->to, head, strlen(head));
	if (!r)
		r = buf_put(p->to, name, strlen(name));
	if (!r)
		r = buf_put(p->to, "\n", 1);
	p->nr[kind]++;
	return r < 0 ? error_errno(p->err, r, "list the images of %s", p->store->path) : 0;
}

static int print_ref(void *arg, const struct store_name *ref)
{
	struct printing *p = (struct printing *)arg;
	char tag[STORE_REF_MAX + 1], path[OBJECT_PATH_MAX];
	const char *name = ref->name;
	struct cairn_digest id;
	struct stat st;

	if (ref->kind == STORE_STREAMS) {
		/* A name that is made of a line of its own would be two. */
		if (!store_tag_of(ref, tag) || !*tag || strchr(tag, '\n'))
			return 0;
		name = tag;
	}
	/* What points nowhere has nothing to be fetched. */
	if (ref->problem || store_entry(p->store, ref->kind, ref->target, &id, NULL) < 0)
		return 0;
	(void)object_path(path, id.bytes, cairn_digest_size((enum cairn_alg)id.alg));
	if (store_find_object(p->store, path, NULL, &st) < 0)
		return 0;
	return print_line(p, ref->kind == STORE_STREAMS ? INDEX_CONTAINER : INDEX_IMAGE, &id,
			  (uint64_t)st.st_size, name);
}

int index_print(const struct cairn_store *s, struct buf *to, uint64_t ret_nr[2],
		struct cairn_error *err)
{
	struct printing p = {.store = s, .to = to, .err = err};
	char end[32];
	int r = buf_put(to, HEAD, strlen(HEAD));

	if (r < 0)
		return error_errno(err, r, "list the images of %s", s->path);
	r = store_list_refs(s, STORE_IMAGES, print_ref, &p, err);
	if (!r)
		r = store_list_refs(s, STORE_STREAMS, print_ref, &p, err);
	if (r < 0)
		return r;
	snprintf(end, sizeof(end), "end %llu\n",
		 (unsigned long long)(p.nr[INDEX_IMAGE] + p.nr[INDEX_CONTAINER]));
	r = buf_put(to, end, strlen(end));
	if (r < 0)
		return error_errno(err, r, "list the images of %s", s->path);
	memcpy(ret_nr, p.nr, sizeof(p.nr));
	return 0;
}

int index_write(struct cairn_store *s, uint64_t ret_nr[2], struct cairn_error *err)
{
	cleanup_buf struct buf text = BUF_INIT(INDEX_SIZE_MAX);
	int r;

	if (s->bare)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "%s: a directory of objects only has no images", s->path);
	r = index_print(s, &text, ret_nr, err);
	if (r < 0)
		return r;
	r = store_own_write(s, "index", text.data, text.len);
	return r < 0 ? error_errno(err, r, "write %s/" INDEX_FILE, s->path) : 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static int bad(struct cairn_error *err, uint64_t line, const char *what)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "list of images: line %llu: %s",
			 (unsigned long long)line, what);
}

/* Decimal digits at *@p, at most to @end, without leading zeros. */
static bool take_number(const char **p, const char *end, uint64_t *ret)
{
	const char *start = *p;
	uint64_t n = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(**p - '0');
	}
	*ret = n;
	return *p > start && (*start != '0' || *p == start + 1);
}

static bool take_word(const char **p, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *p) < len || memcmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

/* "image ALG:HEX SIZE NAME", or "container …" */
static bool take_line(const char *p, const char *end, struct index_line *ret)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	char again[CAIRN_DIGEST_HEX_MAX];
	size_t len;

	*ret = (struct index_line){.kind = INDEX_IMAGE};
	if (take_word(&p, end, index_words[INDEX_CONTAINER]))
		ret->kind = INDEX_CONTAINER;
	else if (!take_word(&p, end, index_words[INDEX_IMAGE]))
		return false;
	if (take_word(&p, end, " sha256:"))
		len = 64;
	else if (take_word(&p, end, " sha512:"))
		len = 128;
	else
		return false;
	if ((size_t)(end - p) < len)
		return false;
	memcpy(hex, p, len);
	hex[len] = '\0';
	p += len;
	if (cairn_digest_from_hex(hex, &ret->digest) < 0 ||
	    cairn_digest_to_hex(&ret->digest, again) != len || memcmp(hex, again, len) != 0 ||
	    !take_word(&p, end, " ") || !take_number(&p, end, &ret->size) ||
	    !take_word(&p, end, " "))
		return false;
	ret->name = p;
	ret->len = (size_t)(end - p);
	return ret->len && ret->len <= STORE_REF_MAX && !memchr(p, '\0', ret->len);
}

int index_parse(const char *text, size_t size, int (*fn)(void *arg, const struct index_line *line),
		void *arg, struct cairn_error *err)
{
	const char *p = text;
	const char *const all = text + size;
	uint64_t nr = 0;
	int r;

	if (size > INDEX_SIZE_MAX || !take_word(&p, all, HEAD))
		return bad(err, 1, "expected \"cairn-index 1\"");
	for (;; nr++) {
		const char *end = (const char *)memchr(p, '\n', (size_t)(all - p));
		struct index_line line;
		uint64_t said;

		if (!end)
			return bad(err, nr + 2, "the list is cut short");
		if (take_word(&p, end, "end ")) {
			if (!take_number(&p, end, &said) || p != end || said != nr ||
			    end + 1 != all)
				return bad(err, nr + 2, "not the end of this list");
			return 0;
		}
		if (!take_line(p, end, &line))
			return bad(err, nr + 2,
				   "expected \"image ALG:DIGEST SIZE NAME\", or "
				   "\"container …\"");
		r = fn(arg, &line);
		if (r < 0)
			return r;
		p = end + 1;
	}
}
