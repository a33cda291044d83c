/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * How fast hashing is, on one core: every kernel by itself, then the engines above them.
 *
 *	hash-bench [SECONDS]    time for each line, 0.3 by default
 *
 * Each line is the best of the time, since noise only ever makes a run slower.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>

#include "digest/verity.h"

#define KIB       ((size_t)1 << 10)
#define MIB       ((size_t)1 << 20)
#define WARM_SIZE (256 * KIB) /* stays in the second-level cache */
#define DATA_SIZE (64 * MIB)  /* does not stay in any */

static double seconds_each = 0.3;
static uint8_t *data;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Repeats @fn, which hashes @size bytes, for the time of a line. Returns the best GB/s. */
static double measure(void (*fn)(const void *arg), const void *arg, size_t size)
{
	double end = now() + seconds_each;
	double best = 0;

	for (double before = now(); before < end;) {
		double after;

		fn(arg);
		after = now();
		best = MAX(best, (double)size / (after - before) * 1e-9);
		before = after;
	}
	return best;
}

static void *allocate(size_t size)
{
	void *p = aligned_alloc(4096, size);

	if (!p) {
		perror("hash-bench");
		exit(1);
	}
	return p;
}

/* --- kernels --------------------------------------------------------------------------------- */

struct kernel_run {
	const struct sha2_impl *impl;
	const struct sha2_length *length;
	size_t stride; /* bytes from one message to the next */
	size_t len;    /* bytes of each that are not padding */
	size_t nr;     /* messages */
	size_t group;  /* how many at once */
};

static void run_kernel(const void *arg)
{
	static uint8_t out[SHA2_LANES_MAX][CAIRN_DIGEST_MAX];
	const struct kernel_run *run = arg;

	for (size_t i = 0; i < run->nr;) {
		struct sha2_msg msgs[SHA2_LANES_MAX];
		unsigned int nr = 0;

		for (; nr < run->group && i < run->nr; nr++, i++) {
			msgs[nr] = (struct sha2_msg){
				.data = data + i * run->stride,
				.len = run->len,
				.out = out[nr],
			};
		}
		run->impl->hash(run->length, msgs, nr);
	}
}

static void bench_kernels(void)
{
	printf("%-22s %9s %9s %9s %9s   %s\n", "kernel, GB/s", "256 KiB", "64 MiB", "256 byte",
	       "us/call", "us/call with one message short");
	for (size_t i = 0; sha2_impls[i]; i++) {
		const struct sha2_impl *impl = sha2_impls[i];
		struct kernel_run run = {.impl = impl, .stride = 4096, .len = 4096};
		struct sha2 h;
		double warm, cold, small, call, masked;

		printf("%s %-15s ", impl->alg == CAIRN_SHA256 ? "sha256" : "sha512", impl->name);
		if (!impl->supported()) {
			printf("%9s\n", "-");
			continue;
		}
		sha2_init(&h, impl->alg, impl);
		run.length = &h.block;
		run.group = impl->lanes;
		run.nr = WARM_SIZE / 4096;
		warm = measure(run_kernel, &run, WARM_SIZE);
		call = 4096e-3 * impl->lanes / warm;
		run.nr = DATA_SIZE / 4096;
		cold = measure(run_kernel, &run, DATA_SIZE);
		run.len = 4095;
		run.nr = WARM_SIZE / 4096;
		masked = 4096e-3 * impl->lanes / measure(run_kernel, &run, WARM_SIZE);

		run.length = &h.descriptor;
		run.stride = run.len = 256;
		run.nr = WARM_SIZE / 256;
		small = measure(run_kernel, &run, WARM_SIZE);
		printf("%9.2f %9.2f %9.2f %9.2f %9.2f\n", warm, cold, small, call, masked);
	}
}

/* --- engines --------------------------------------------------------------------------------- */

struct engine_run {
	struct verity *verity;
	struct verity_batch *batch;
	size_t total; /* bytes */
	size_t piece; /* bytes of an update, or of a content of the batch */
	size_t wrap;  /* pieces come from this many bytes */
};

static void run_stream(const void *arg)
{
	const struct engine_run *run = arg;
	struct cairn_digest ret[2];

	for (size_t done = 0; done < run->total; done += run->piece)
		verity_update(run->verity, data + done % run->wrap, run->piece);
	verity_final(run->verity, ret);
}

/* Contents come from a buffer that is filled and flushed as a walk would do it. */
static void run_batch(const void *arg)
{
	static struct cairn_digest ret[VERITY_BATCH_FILES][2];
	const struct engine_run *run = arg;

	for (size_t done = 0, n = 0; done < run->total; done += run->piece) {
		size_t at = n * ROUND_UP(run->piece, 64);

		verity_batch_add(run->batch, data + at, run->piece, ret[n++]);
		if (n == VERITY_BATCH_FILES || at + 2 * run->piece > run->wrap) {
			verity_batch_flush(run->batch);
			n = 0;
		}
	}
	verity_batch_flush(run->batch);
}

static void run_alone(const void *arg)
{
	const struct engine_run *run = arg;
	struct cairn_digest ret[2];

	for (size_t done = 0; done < run->total; done += run->piece) {
		verity_update(run->verity, data, run->piece);
		verity_final(run->verity, ret);
	}
}

static void bench_engines(unsigned int algs, const char *name)
{
	static const size_t pieces[] = {1000, 10000, 64 * KIB, 128 * KIB, MIB};
	static const size_t contents[] = {100, 1000, 4 * KIB, 6000, 16 * KIB, 64 * KIB, 500 * 1000};
	struct engine_run run = {.total = DATA_SIZE, .piece = DATA_SIZE, .wrap = DATA_SIZE};
	struct verity v;

	if (verity_init(&v, algs) < 0 || verity_batch_new(algs, &run.batch) < 0)
		exit(1);
	run.verity = &v;

	printf("\n%s\n", name);
	printf("stream, 64 MiB at once     %6.2f GB/s\n", measure(run_stream, &run, DATA_SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		run.piece = pieces[i];
		run.wrap = pieces[i];
		printf("  pieces of %7zu, warm   %6.2f GB/s\n", pieces[i],
		       measure(run_stream, &run, DATA_SIZE));
	}
	run.total = 16 * MIB;
	run.wrap = MIB;
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		double batched, alone;

		run.piece = contents[i];
		batched = measure(run_batch, &run, run.total);
		alone = measure(run_alone, &run, run.total);
		printf("batch of %7zu, warm     %6.2f GB/s %8.3f us each   one by one %6.2f GB/s\n",
		       contents[i], batched, (double)contents[i] / batched * 1e-3, alone);
	}
	verity_fini(&v);
	verity_batch_free(run.batch);
}

/* --- what everybody has ---------------------------------------------------------------------- */

static void run_libcrypto(const void *arg)
{
	uint8_t out[64];

	EVP_Digest(data, DATA_SIZE, out, NULL, arg, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds_each = atof(argv[1]);
	data = allocate(DATA_SIZE);
	for (size_t i = 0; i < DATA_SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);

	bench_kernels();
	printf("\nlibcrypto, 64 MiB in one message: sha256 %.2f GB/s, sha512 %.2f GB/s\n",
	       measure(run_libcrypto, EVP_sha256(), DATA_SIZE),
	       measure(run_libcrypto, EVP_sha512(), DATA_SIZE));
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA256), "sha256");
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA512), "sha512");
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512), "both");
	free(data);
	return 0;
}
