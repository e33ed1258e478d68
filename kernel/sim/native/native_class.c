/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/bpf/ghost.bpf.c"

__thread struct sim_context *sim_current;

#define MAP(map) { #map, &map, sizeof(*map.value), sizeof(*map.max_entries) / sizeof(int) }
const struct sim_map sim_maps[] = {
	MAP(class_info), MAP(enclaves),	    MAP(domains),      MAP(blocks), MAP(cores),	     MAP(txns),	 MAP(cpu_configs),
	MAP(cpu_states), MAP(status_words), MAP(queue_states), MAP(tasks),  MAP(affinities), MAP(guard), MAP(cpu_timers),
	MAP(waits),	 MAP(tallies), MAP(traces),   MAP(boards),
	{ "queues", &queues, 0, 1 },
};
const u32 sim_nr_maps = sizeof(sim_maps) / sizeof(sim_maps[0]);
const u32 sim_thread_storage_size = sizeof(struct ghost_thread);
