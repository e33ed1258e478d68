/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is relocated in the native build: reads are reads. The class asks whether fields exist that this kernel has, but for one. */
#ifndef CORRAL_KERNEL_SIM_NATIVE_BPF_CORE_READ_H_
#define CORRAL_KERNEL_SIM_NATIVE_BPF_CORE_READ_H_

#define SIM_READ_1(from, a) ((from)->a)
#define SIM_READ_2(from, a, b) ((from)->a->b)
#define SIM_READ_OF(_1, _2, _3, read, ...) read
#define BPF_CORE_READ(...) SIM_READ_OF(__VA_ARGS__, SIM_READ_2, SIM_READ_1, 0)(__VA_ARGS__)
#define bpf_core_field_exists(field) (__builtin_strcmp(#field, "c->core_cookie") != 0)
#define bpf_core_enum_value(type, value) (value)

#endif
