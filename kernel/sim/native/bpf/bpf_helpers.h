/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF's helpers, for the native build of the class: maps are the arrays of the simulated machine whose code runs at the moment
 * (sim_current), everything else is a function of that machine (kernel/sim/native/native_class.h).
 */
#ifndef CORRAL_KERNEL_SIM_NATIVE_BPF_HELPERS_H_
#define CORRAL_KERNEL_SIM_NATIVE_BPF_HELPERS_H_

#include <string.h>

#include "kernel/sim/native/native_class.h"

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __ksym
#define SEC(name) __attribute__((section(name), used))

/* A map's declaration keeps its types, for sizeof; its memory belongs to a machine. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_TASK_STORAGE };
enum { BPF_F_MMAPABLE = 1, BPF_F_NO_PREALLOC = 2 };
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_F_TIMER_ABS 1

#define bpf_for(i, start, end) for ((i) = (start); (i) < (end); (i)++)
#define bpf_ksym_exists(sym) (!!(sym))
#define bpf_rdonly_cast(pointer, type) ((void *)(pointer))

static inline void *sim_map_lookup(const void *map, u32 key)
{
	const struct sim_array *a = sim_current->arrays + ((const char *)map - sim_current->first_map) / sizeof(void *);

	if (key >= a->entries)
		return NULL;
	/* A map of maps holds pointers. */
	return a->value_size ? a->data + (size_t)key * a->value_size : ((void **)a->data)[key];
}
#define bpf_map_lookup_elem(map, key) sim_map_lookup(map, *(const u32 *)(key))

static inline void *sim_storage(struct task_struct *p, u64 flags)
{
	if (!p->storage && (flags & BPF_LOCAL_STORAGE_GET_F_CREATE))
		p->storage = sim_new_storage(p);
	return p->storage;
}
#define bpf_task_storage_get(map, p, value, flags) sim_storage(p, flags)

#define bpf_ringbuf_reserve(ring, size, flags) sim_ring_reserve(ring)
#define bpf_ringbuf_submit(message, flags) sim_ring_submit(message, flags)
#define bpf_ringbuf_discard(message, flags) sim_ring_discard(message, flags)

#define bpf_timer_init(timer, map, clock) sim_timer_init(timer)
#define bpf_timer_set_callback(timer, callback) sim_timer_set_callback(timer, (sim_timer_callback)(void *)(callback))
#define bpf_timer_start(timer, ns, flags) sim_timer_start(timer, ns, flags)
#define bpf_timer_cancel(timer) sim_timer_cancel(timer)

#define bpf_ktime_get_ns() (sim_current->now_ns)
#define bpf_get_smp_processor_id() (sim_current->cpu)
#define bpf_get_current_task_btf() (sim_current->current)

static inline long bpf_probe_read_kernel(void *to, u32 size, const void *from)
{
	memcpy(to, from, size);
	return 0;
}

static inline long bpf_probe_read_kernel_str(char *to, u32 size, const char *from)
{
	strncpy(to, from ? from : "", size - 1);
	to[size - 1] = 0;
	return 0;
}

static inline bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask)
{
	return cpu < 64 * SIM_CPUMASK_WORDS && (mask->bits[cpu / 64] >> (cpu % 64) & 1);
}

#endif
