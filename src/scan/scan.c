/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Beginning and ending a scan; its failures, of which one is reported. */
#include "scan/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/parallel.h"
#include "scan/cache-internal.h"
#include "sys/dir.h"

/* --- failures -------------------------------------------------------------------------------- */

#define SCAN_PATH_MAX (2 * NODE_PATH_QUOTED_MAX)

/* The path of @n as the user would write it. */
static const char *full_path(const struct scan *scan, const struct node *n, char out[SCAN_PATH_MAX])
{
	char below[NODE_PATH_QUOTED_MAX];
	char root[NODE_PATH_QUOTED_MAX];
	size_t len = strlen(scan->path);

	while (len > 1 && scan->path[len - 1] == '/')
		len--;
	(void)error_quote(scan->path, len, root, sizeof(root));
	if (!n->parent)
		snprintf(out, SCAN_PATH_MAX, "%s", root);
	else
		snprintf(out, SCAN_PATH_MAX, "%s%s", strcmp(root, "/") ? root : "",
			 node_path_quoted(n, below));
	return out;
}

/* Whether a failure of @n replaces the one there is. The caller has the lock. */
static bool is_first(const struct scan *scan, const struct node *n)
{
	if (!atomic_load(&scan->failing))
		return true;
	if (atomic_load(&scan->stop))
		return false;
	return node_precedes(n, scan->failed);
}

static int fail(struct worker *w, const struct node *n, const struct cairn_error *err)
{
	struct scan *scan = w->scan;

	pthread_mutex_lock(&scan->lock);
	if (is_first(scan, n)) {
		scan->failed = n;
		scan->code = err->code;
		scan->error = *err;
		atomic_store(&scan->failing, true);
	}
	pthread_mutex_unlock(&scan->lock);
	return 0;
}

int scan_fail_errno(struct worker *w, const struct node *n, int code, const char *verb)
{
	char path[SCAN_PATH_MAX];
	struct cairn_error err;

	if (code == -ESTALE)
		return scan_fail(w, n, -EAGAIN, CAIRN_ERROR_SYSTEM, "changed while it was read");
	(void)error_errno(&err, code, "%s %s", verb, full_path(w->scan, n, path));
	return fail(w, n, &err);
}

int scan_fail(struct worker *w, const struct node *n, int code, enum cairn_error_kind kind,
	      const char *words)
{
	char path[SCAN_PATH_MAX];
	struct cairn_error err;

	(void)error_set(&err, code, kind, "%s: %s", full_path(w->scan, n, path), words);
	return fail(w, n, &err);
}

int scan_abort(struct worker *w, const struct node *n, struct cairn_error *err)
{
	struct scan *scan = w->scan;
	char path[SCAN_PATH_MAX];

	if (n)
		(void)error_prepend(err, "%s", full_path(scan, n, path));
	pthread_mutex_lock(&scan->lock);
	if (!atomic_load(&scan->stop)) {
		scan->code = err->code;
		scan->error = *err;
		atomic_store(&scan->failing, true);
		atomic_store(&scan->stop, true);
	}
	pthread_cond_broadcast(&scan->more);
	pthread_mutex_unlock(&scan->lock);
	return err->code;
}

int scan_out_of_memory(struct worker *w)
{
	struct cairn_error err;

	(void)error_errno(&err, -ENOMEM, "read %s", w->scan->path);
	return scan_abort(w, NULL, &err);
}

bool scan_skips(struct worker *w, const struct node *n)
{
	struct scan *scan = w->scan;
	bool after;

	if (likely(!atomic_load_explicit(&scan->failing, memory_order_relaxed)))
		return false;
	pthread_mutex_lock(&scan->lock);
	after = atomic_load(&scan->stop) || !node_precedes(n, scan->failed);
	pthread_mutex_unlock(&scan->lock);
	return after;
}

int scan_progress(struct worker *w)
{
	struct scan *scan = w->scan;
	struct cairn_error err;

	atomic_fetch_add_explicit(&scan->files, w->files, memory_order_relaxed);
	atomic_fetch_add_explicit(&scan->bytes, w->bytes, memory_order_relaxed);
	w->files = 0;
	w->bytes = 0;
	if (w->id || !scan->options->progress)
		return 0;
	if (!scan->options->progress(scan->options->progress_arg, atomic_load(&scan->files),
				     atomic_load(&scan->bytes), 0, 0))
		return 0;
	(void)error_set(&err, -ECANCELED, CAIRN_ERROR_SYSTEM, "cancelled");
	return scan_abort(w, NULL, &err);
}

/* --- workers --------------------------------------------------------------------------------- */

static int worker_init(struct worker *w, struct scan *scan, unsigned int id)
{
	w->scan = scan;
	w->id = id;
	w->shard = &scan->shards[id];
	arena_init(&w->arena);
	return content_init(w);
}

static void worker_fini(struct worker *w)
{
	if (!w)
		return;
	content_fini(w);
	task_stack_fini(&w->tasks);
	free(w->others);
	arena_fini(&w->arena);
	free(w->xattr_names);
	free(w->xattr_values);
	free(w->xattr_inputs);
	free(w->records);
	free(w->lists);
	free(w);
}

DEFINE_CLEANUP(struct tree *, tree, tree_free)

/* All workers are there before the first runs: they lend each other directories. */
struct crew {
	struct scan *scan;
	struct worker *workers[SCAN_JOBS_MAX];
};

static int run_worker(void *arg, unsigned int id)
{
	return worker_run(((struct crew *)arg)->workers[id]);
}

static int run_crew(struct scan *scan, struct crew *crew, struct scan_dir *root,
		    struct cairn_error *err)
{
	for (unsigned int i = 0; i < scan->nr_workers; i++) {
		crew->workers[i] = (struct worker *)calloc(1, sizeof(struct worker));
		if (!crew->workers[i] || worker_init(crew->workers[i], scan, i) < 0)
			return error_errno(err, -ENOMEM, "read %s", scan->path);
	}
	if (task_push(&crew->workers[0]->tasks, (struct scan_task){.dir = root}) < 0)
		return error_errno(err, -ENOMEM, "read %s", scan->path);
	atomic_store(&scan->unfinished, 1);

	(void)parallel_run(scan->nr_workers, run_worker, crew);
	if (!atomic_load(&scan->failing))
		return 0;
	if (err)
		*err = scan->error;
	return scan->code;
}

/* --- the scan -------------------------------------------------------------------------------- */

static int set_algs(struct scan *scan, struct cairn_error *err)
{
	unsigned int known = CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512);

	scan->algs = scan->options->algs;
	if (!scan->algs && !scan->sink)
		scan->algs = CAIRN_ALG_BIT(CAIRN_SHA256);
	if (scan->sink)
		scan->algs |= CAIRN_ALG_BIT(scan->sink->alg);
	if (scan->algs & ~known)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown digest algorithm");

	for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		if (!(scan->algs & CAIRN_ALG_BIT(alg)))
			continue;
		if (scan->sink && scan->sink->alg == alg)
			scan->sink_slot = scan->nr_algs;
		scan->nr_algs++;
		scan->digests_size += cairn_digest_size((enum cairn_alg)alg);
	}
	return 0;
}

static int open_root(struct scan *scan, int dirfd, struct cairn_error *err)
{
	struct stat st;

	scan->root_fd = open_directory(dirfd, scan->path);
	if (scan->root_fd == -ENOTDIR && !fstatat(dirfd, scan->path, &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISLNK(st.st_mode))
		return error_set(err, -ENOTDIR, CAIRN_ERROR_SYSTEM,
				 "open %s: a symbolic link, which is not followed", scan->path);
	if (scan->root_fd < 0)
		return error_errno(err, scan->root_fd, "open %s", scan->path);
	if (fstat(scan->root_fd, &st) < 0)
		return error_errno(err, -errno, "stat %s", scan->path);
	scan->root_dev = st.st_dev;
	if (!scan->sink)
		return 0;
	if (fstat(scan->sink->dirfd, &st) < 0)
		return error_errno(err, -errno, "stat the store");
	scan->sink_dev = st.st_dev;
	scan->sink_ino = st.st_ino;
	return 0;
}

/* The tree of what the workers have found. */
static int finish_tree(struct scan *scan, struct tree *t, struct cairn_error *err)
{
	int r;

	links_resolve(scan->links);
	t->team = (struct team){scan->nr_workers, parallel_for};
	r = tree_index(t, scan->shards, scan->nr_workers, NULL, err);
	if (!r)
		r = tree_seal(t, false, err);
	if (r < 0)
		error_prepend(err, "%s", scan->path);
	return r;
}

/* Hands what the workers have noted to the cache. */
static int finish_cache(const struct scan *scan, const struct crew *crew, struct cairn_error *err)
{
	struct scan_cache *c = scan->cache;
	char path[SCAN_PATH_MAX];
	const struct node *n;
	size_t nr = 0;
	int r;

	for (unsigned int i = 0; i < scan->nr_workers; i++)
		nr += crew->workers[i]->nr_records;
	c->records = (struct cache_record *)malloc((nr + 1) * sizeof(*c->records));
	if (!c->records)
		return error_errno(err, -ENOMEM, "read %s", scan->path);
	for (unsigned int i = 0; i < scan->nr_workers; i++) {
		const struct worker *w = crew->workers[i];

		if (w->nr_records)
			memcpy(c->records + c->nr_records, w->records,
			       w->nr_records * sizeof(*c->records));
		c->nr_records += w->nr_records;
		c->hits += w->cached;
	}
	r = scan->sink ? cache_confirm(scan, err) : 0;
	if (r < 0)
		return r;
	c->durable = !atomic_load(&scan->new_objects) && !atomic_load(&scan->hits);
	n = scan->verify_cache ? cache_refuted(c) : NULL;
	if (n)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s: is not what the cache says, and has the times that it had",
				 full_path(scan, n, path));
	return 0;
}

static void scan_fini(struct scan *scan)
{
	if (scan->root_fd >= 0)
		close(scan->root_fd);
	for (unsigned int i = 0; scan->shards && i < scan->nr_workers; i++)
		tree_shard_fini(&scan->shards[i]);
	free(scan->shards);
	links_free(scan->links);
	task_stack_fini(&scan->pool);
	pthread_cond_destroy(&scan->more);
	pthread_mutex_destroy(&scan->lock);
}

#define cleanup_scan __attribute__((__cleanup__(scan_fini)))

static void crew_fini(struct crew *crew)
{
	for (unsigned int i = 0; i < SCAN_JOBS_MAX; i++)
		worker_fini(crew->workers[i]);
}

#define cleanup_crew __attribute__((__cleanup__(crew_fini)))

static void get_result(const struct scan *scan, struct cairn_scan_result *res)
{
	*res = (struct cairn_scan_result){
		.files = atomic_load(&scan->files),
		.bytes = atomic_load(&scan->bytes),
		.new_objects = atomic_load(&scan->new_objects),
		.new_bytes = atomic_load(&scan->new_bytes),
		.reflinked = atomic_load(&scan->reflinked),
		.cached = scan->cache ? scan->cache->hits : 0,
	};
}

int scan_directory(int dirfd, const char *path, const struct cairn_scan_options *options,
		   const struct scan_sink *sink, struct scan_cache *cache, struct tree **ret,
		   struct cairn_scan_result *res, struct cairn_error *err)
{
	cleanup_scan struct scan scan = {
		.options = options,
		.sink = sink,
		.cache = cache,
		.verify_cache = options->flags & CAIRN_SCAN_VERIFY_CACHE,
		.flags = options->flags,
		.path = path,
		.root_fd = -1,
		.nr_workers = MIN(MAX(options->jobs, 1u), (unsigned int)SCAN_JOBS_MAX),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.more = PTHREAD_COND_INITIALIZER,
	};
	cleanup_crew struct crew crew = {.scan = &scan};
	cleanup(tree) struct tree *t = NULL;
	struct scan_dir root = {0};
	int r;

	r = set_algs(&scan, err);
	if (!r)
		r = open_root(&scan, dirfd, err);
	if (r < 0)
		return r;

	scan.shards = (struct tree_shard *)calloc(scan.nr_workers, sizeof(*scan.shards));
	r = scan.shards ? tree_new(&t) : -ENOMEM;
	for (unsigned int i = 0; !r && i < scan.nr_workers; i++)
		r = tree_shard_init(&scan.shards[i]);
	if (!r)
		r = links_new(&scan.links);
	if (!r) {
		t->root = tree_add(&scan.shards[0], NULL, "", 0);
		r = t->root ? 0 : -ENOMEM;
	}
	if (r < 0)
		return error_errno(err, r, "read %s", path);
	t->root->mode = S_IFDIR;
	root.node = t->root;

	r = run_crew(&scan, &crew, &root, err);
	if (!r)
		r = finish_tree(&scan, t, err);
	if (!r && cache)
		r = finish_cache(&scan, &crew, err);
	if (r < 0)
		return r;
	if (res)
		get_result(&scan, res);
	*ret = take_ptr(t);
	return 0;
}
