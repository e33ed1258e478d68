# SPDX-License-Identifier: Apache-2.0
# corral_bpf_skeleton(NAME SOURCE [TARGET LIBRARY] [DEFINITIONS ...]): compiles SOURCE with clang for BPF and makes the interface
# library LIBRARY (or NAME), whose include folder holds NAME.skel.h. CORRAL_VMLINUX_H names a vmlinux.h made by bpftool; CO-RE adjusts it to the kernel
# that the program is loaded on, so any kernel that has sched_ext will do.
find_program(CORRAL_BPF_CLANG NAMES clang-19 clang-20 clang-18 clang REQUIRED)
find_program(CORRAL_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(CORRAL_LLVM_STRIP NAMES llvm-strip-19 llvm-strip-20 llvm-strip-18 llvm-strip REQUIRED)
set(CORRAL_VMLINUX_H "" CACHE FILEPATH "vmlinux.h of a kernel with sched_ext (tests/host/fetch-kernel --vmlinux-h prints one)")
if(NOT EXISTS "${CORRAL_VMLINUX_H}")
  message(FATAL_ERROR "CORRAL_VMLINUX_H names no file. Run: cmake -DCORRAL_VMLINUX_H=$(tests/host/fetch-kernel --vmlinux-h)")
endif()

function(corral_bpf_skeleton name source)
  cmake_parse_arguments(ARG "" "TARGET" "DEFINITIONS" ${ARGN})
  set(library ${name})
  if(ARG_TARGET)
    set(library ${ARG_TARGET})
  endif()
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(header ${CMAKE_CURRENT_BINARY_DIR}/${name}/${name}.skel.h)
  get_filename_component(vmlinux_dir ${CORRAL_VMLINUX_H} DIRECTORY)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${name})
  list(TRANSFORM ARG_DEFINITIONS PREPEND -D)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CORRAL_BPF_CLANG} -target bpf -mcpu=v3 -g -O2 -Wall -Werror -fms-extensions -Wno-microsoft-anon-tag
            -Wno-missing-declarations -D__TARGET_ARCH_x86 ${ARG_DEFINITIONS} -isystem ${vmlinux_dir} -I${CMAKE_SOURCE_DIR}
            -MMD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    # The DWARF is for nobody; the BTF stays.
    COMMAND ${CORRAL_LLVM_STRIP} -g ${object}
    DEPENDS ${source} ${CORRAL_VMLINUX_H}
    DEPFILE ${object}.d
    COMMENT "BPF ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${CORRAL_BPFTOOL} gen skeleton ${object} name ${name} > ${header}.tmp
    # bpftool is newer than Debian 12's libbpf, which has no `link` in its skeleton map.
    COMMAND sed -i /map-.link/d ${header}.tmp
    COMMAND ${CMAKE_COMMAND} -E rename ${header}.tmp ${header}
    DEPENDS ${object}
    COMMENT "skeleton ${name}")
  add_custom_target(${library}_skeleton DEPENDS ${header})
  add_library(${library} INTERFACE)
  add_dependencies(${library} ${library}_skeleton)
  target_include_directories(${library} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/${name})
  target_link_libraries(${library} INTERFACE PkgConfig::LIBBPF)
endfunction()
