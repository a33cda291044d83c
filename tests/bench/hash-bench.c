/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * How fast hashing is, on one core: every kernel by itself, then the engines above them.
 *
 *	hash-bench [SECONDS]    time for each line, 0.3 by default
 *
 * Each figure is the best turn of that time, since noise only ever makes a turn slower.
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
#define TURN      MIB         /* hashed between two looks at the clock, so that few are disturbed */

static double seconds_each = 0.3;
static uint8_t *data;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Repeats @fn, which returns how many bytes it hashed, for the time of a line: the best GB/s. */
static double measure(size_t (*fn)(void *arg), void *arg)
{
	double end = now() + seconds_each;
	double best = 0;

	for (double before = now(); before < end;) {
		size_t size = fn(arg);
		double after = now();

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
	size_t span; /* bytes of data used, over and over */
	size_t at;   /* where in them */
	size_t len;  /* bytes of each message that are not padding */
};

static size_t run_kernel(void *arg)
{
	static uint8_t out[SHA2_LANES_MAX][CAIRN_DIGEST_MAX];
	struct kernel_run *run = arg;
	size_t stride = run->length->size;
	size_t done = 0;

	while (done < TURN / 4) {
		struct sha2_msg msgs[SHA2_LANES_MAX];

		for (unsigned int i = 0; i < run->impl->lanes; i++) {
			msgs[i] = (struct sha2_msg){
				.data = data + run->at,
				.len = run->len,
				.out = out[i],
			};
			run->at = (run->at + stride) % run->span;
		}
		run->impl->hash(run->length, msgs, run->impl->lanes);
		done += run->impl->lanes * stride;
	}
	return done;
}

static void bench_kernels(void)
{
	printf("%-22s %9s %9s %9s %11s %11s\n", "kernel, GB/s", "256 KiB", "64 MiB", "of 256 B",
	       "us a call", "of 4095 B");
	for (size_t i = 0; sha2_impls[i]; i++) {
		const struct sha2_impl *impl = sha2_impls[i];
		struct kernel_run run = {.impl = impl, .len = 4096};
		struct sha2 h;
		double warm, cold, part, small;

		printf("%s %-15s ", impl->alg == CAIRN_SHA256 ? "sha256" : "sha512", impl->name);
		if (!impl->supported()) {
			printf("%9s\n", "-");
			continue;
		}

		sha2_init(&h, impl->alg, impl);
		run.length = &h.block;
		run.span = WARM_SIZE;
		warm = measure(run_kernel, &run);
		run.len = 4095;
		part = measure(run_kernel, &run);
		run.len = 4096;
		run.span = DATA_SIZE;
		cold = measure(run_kernel, &run);
		run.length = &h.descriptor;
		run.len = 256;
		run.span = WARM_SIZE;
		small = measure(run_kernel, &run);
		printf("%9.2f %9.2f %9.2f %11.2f %11.2f\n", warm, cold, small,
		       4096e-3 * impl->lanes / warm, 4096e-3 * impl->lanes / part);
	}
}

/* --- engines --------------------------------------------------------------------------------- */

struct engine_run {
	struct verity *verity;
	struct verity_batch *batch;
	size_t span;  /* bytes of data used, over and over */
	size_t at;    /* where in them */
	size_t piece; /* bytes of an update, or of a content */
};

/* A content that is longer than any turn. */
static size_t run_stream(void *arg)
{
	struct engine_run *run = arg;
	size_t done = 0;

	for (; done < TURN; done += run->piece) {
		if (run->at + run->piece > run->span)
			run->at = 0;
		verity_update(run->verity, data + run->at, run->piece);
		run->at += run->piece;
	}
	return done;
}

/* Contents come from a buffer that is filled and then flushed, as a walk would do it. */
static size_t run_batch(void *arg)
{
	static struct cairn_digest ret[VERITY_BATCH_FILES][2];
	struct engine_run *run = arg;
	size_t done = 0;

	while (done < TURN) {
		size_t n = 0;

		for (size_t at = 0; n < VERITY_BATCH_FILES && at + run->piece <= run->span; n++) {
			verity_batch_add(run->batch, data + at, run->piece, ret[n]);
			at += ROUND_UP(run->piece, 64);
		}
		verity_batch_flush(run->batch);
		done += n * run->piece;
	}
	return done;
}

static size_t run_alone(void *arg)
{
	struct engine_run *run = arg;
	struct cairn_digest ret[2];
	size_t done = 0;

	for (; done < TURN; done += run->piece) {
		verity_update(run->verity, data, run->piece);
		verity_final(run->verity, ret);
	}
	return done;
}

static void bench_engines(unsigned int algs, const char *name)
{
	static const size_t pieces[] = {1000, 10000, 64 * KIB, 100000, 128 * KIB, MIB};
	static const size_t contents[] = {100, 1000, 4 * KIB, 6000, 16 * KIB, 64 * KIB, 500 * 1000};
	struct cairn_digest ret[2];
	struct engine_run run = {.span = DATA_SIZE};
	struct verity v;

	if (verity_init(&v, algs) < 0 || verity_batch_new(algs, &run.batch) < 0)
		exit(1);
	run.verity = &v;

	printf("\n%s\n", name);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		double warm, cold;

		run.piece = pieces[i];
		run.span = MAX(pieces[i], WARM_SIZE);
		warm = measure(run_stream, &run);
		run.span = DATA_SIZE;
		cold = measure(run_stream, &run);
		printf("stream, pieces of %8zu %6.2f GB/s warm %6.2f of 64 MiB\n", pieces[i], warm,
		       cold);
		verity_final(&v, ret);
	}
	run.span = MIB;
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		double batched, alone;

		run.piece = contents[i];
		batched = measure(run_batch, &run);
		alone = measure(run_alone, &run);
		printf("batch, each %8zu %6.2f GB/s %8.3f us each; one by one %6.2f GB/s\n",
		       contents[i], batched, (double)contents[i] / batched * 1e-3, alone);
	}
	verity_fini(&v);
	verity_batch_free(run.batch);
}

/* --- what everybody has ---------------------------------------------------------------------- */

static size_t run_libcrypto(void *arg)
{
	uint8_t out[64];

	EVP_Digest(data, WARM_SIZE, out, NULL, *(const EVP_MD *const *)arg, NULL);
	return WARM_SIZE;
}

static double bench_libcrypto(const EVP_MD *md)
{
	return measure(run_libcrypto, &md);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds_each = atof(argv[1]);
	data = allocate(DATA_SIZE);
	for (size_t i = 0; i < DATA_SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);

	bench_kernels();
	printf("\nlibcrypto, one long message: sha256 %.2f GB/s, sha512 %.2f GB/s\n",
	       bench_libcrypto(EVP_sha256()), bench_libcrypto(EVP_sha512()));
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA256), "sha256");
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA512), "sha512");
	bench_engines(CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512), "both");
	free(data);
	return 0;
}
