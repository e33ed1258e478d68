/* SPDX-License-Identifier: Apache-2.0 */
/* In the native build a program is a function of its arguments. */
#ifndef CORRAL_KERNEL_SIM_NATIVE_BPF_TRACING_H_
#define CORRAL_KERNEL_SIM_NATIVE_BPF_TRACING_H_

#define BPF_PROG(name, ...) name(__VA_ARGS__)

#endif
