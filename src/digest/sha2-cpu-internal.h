/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What this processor can do.
 *
 * The C library has asked already, and keeps the answer. Asking again, as the compiler's own functions
 * do before main(), makes each of a dozen CPUID instructions leave a virtual machine: 1 ms together.
 */
#ifndef DIGEST_SHA2_CPU_INTERNAL_H
#define DIGEST_SHA2_CPU_INTERNAL_H

#include <stdbool.h>

#if __has_include(<sys/platform/x86.h>)

#include <sys/platform/x86.h>

#define CPU_HAS_AVX2   (CPU_FEATURE_ACTIVE(AVX2) != 0)
#define CPU_HAS_AVX512 (CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(AVX512BW))
/* These use registers that are always saved. */
#define CPU_HAS_SHA (CPU_FEATURE_PRESENT(SSE4_1) && CPU_FEATURE_PRESENT(SHA))

#else

#include <cpuid.h>

#define CPU_HAS_AVX2   (__builtin_cpu_supports("avx2") != 0)
#define CPU_HAS_AVX512 (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
#define CPU_HAS_SHA    (__builtin_cpu_supports("sse4.1") && cpu_has_sha())

static inline bool cpu_has_sha(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

#endif

#endif
