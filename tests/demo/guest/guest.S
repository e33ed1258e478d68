/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least guest that keeps virtual CPUs busy: no disk, no devices, no operating system. A multiboot-1 kernel for PC machines with
 * up to eight CPUs. The last word of its command line says what the vCPUs do, for ever:
 *
 *   spin    compute
 *   sleep   compute for about 1 ms, sleep (HLT) for about 5 ms, again
 *   mix     even vCPUs spin, odd ones sleep
 *
 * What happens: the boot processor wakes the others by INIT and start-up IPIs until as many have come as fw_cfg tells; then each
 * does its work. There are no exception handlers: an exception becomes a triple fault, which ends the domain visibly.
 */
	.set MAX_CPUS, 8
	.set STACK_SIZE, 512
	.set TRAMPOLINE_AT, 0x8000	/* a start-up IPI can only name a page below 1 MiB */

	.set APIC, 0xfee00000
	.set APIC_EOI, APIC + 0xb0
	.set APIC_SPURIOUS, APIC + 0xf0
	.set APIC_COMMAND, APIC + 0x300
	.set APIC_TIMER, APIC + 0x320
	.set APIC_TIMER_START, APIC + 0x380
	.set APIC_TIMER_LEFT, APIC + 0x390
	.set APIC_TIMER_DIVIDE, APIC + 0x3e0
	.set ALL_BUT_SELF, 0xc0000
	.set INIT_IPI, 0x4500
	.set STARTUP_IPI, 0x4600
	.set DIVIDE_BY_1, 0xb		/* the timers of QEMU and KVM then count ns */
	.set MASKED, 0x10000

	.set TIMER_VECTOR, 0x40
	.set SPURIOUS_VECTOR, 0xff

	.set FW_CFG, 0x510
	.set FW_CFG_NB_CPUS, 5

	.section .text
	.code32
	.align 4
multiboot_header:
	.long 0x1badb002, 0, -0x1badb002

	.globl _start
_start:
	cli
	mov %ebx, %ebp			/* multiboot information */
	lgdt gdt_pointer
	ljmp $8, $1f
1:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stacks + STACK_SIZE, %esp
	call read_command_line
	call fill_idt
	/* The two legacy interrupt controllers. */
	mov $0xff, %al
	out %al, $0x21
	out %al, $0xa1
	movl $SPURIOUS_VECTOR | 0x100, APIC_SPURIOUS
	call start_others
	xor %esi, %esi			/* this vCPU's index, from here on */
	jmp work

/* Sets `mode` to the two characters after the last blank of the command line. */
read_command_line:
	mov 16(%ebp), %ecx
1:	movb (%ecx), %al
	inc %ecx
	test %al, %al
	jz 2f
	cmp $' ', %al
	jne 1b
	movw (%ecx), %ax
	movw %ax, mode
	jmp 1b
2:	ret

fill_idt:
	mov $idt + 8 * TIMER_VECTOR, %edi
	mov $timer_handler, %eax
	call 1f
	mov $idt + 8 * SPURIOUS_VECTOR, %edi
	mov $spurious_handler, %eax
1:	movw %ax, (%edi)
	movw $8, 2(%edi)
	movw $0x8e00, 4(%edi)
	shr $16, %eax
	movw %ax, 6(%edi)
	ret

timer_handler:
	movl $0, APIC_EOI
spurious_handler:
	iret

/*
 * A start-up IPI that overtakes the INIT is ignored, and so is one for a CPU that runs: hence again and again until all are there. vCPU
 * threads may have to wait long for a CPU of the host.
 */
start_others:
	mov $trampoline, %esi
	mov $TRAMPOLINE_AT, %edi
	mov $trampoline_end - trampoline, %ecx
	rep movsb
	mov $FW_CFG, %edx
	mov $FW_CFG_NB_CPUS, %eax
	out %ax, %dx
	inc %edx
	xor %ebx, %ebx
	in %dx, %al
	mov %al, %bl
	cmp $MAX_CPUS, %ebx
	jbe 1f
	mov $MAX_CPUS, %ebx
1:	cmp $1, %ebx
	je 3f
	movl $DIVIDE_BY_1, APIC_TIMER_DIVIDE
	movl $MASKED | TIMER_VECTOR, APIC_TIMER
	movl $ALL_BUT_SELF | INIT_IPI, APIC_COMMAND
2:	movl $20000000, APIC_TIMER_START
	call await_timer
	movl $ALL_BUT_SELF | STARTUP_IPI | (TRAMPOLINE_AT >> 12), APIC_COMMAND
	cmp online, %ebx
	ja 2b
3:	ret

await_timer:
	call compute
	cmpl $0, APIC_TIMER_LEFT
	jne await_timer
	ret

/* The others begin here, in real mode, at TRAMPOLINE_AT. */
	.code16
trampoline:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl TRAMPOLINE_AT + (trampoline_gdt - trampoline)
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $other
	.align 4
trampoline_gdt:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:
	.code32

other:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %esi
	lock xadd %esi, online
	cmp $MAX_CPUS, %esi
	jb work
1:	hlt
	jmp 1b

work:
	mov %esi, %esp
	imul $STACK_SIZE, %esp
	add $stacks + STACK_SIZE, %esp
	lidt idt_pointer
	movl $SPURIOUS_VECTOR | 0x100, APIC_SPURIOUS
	movl $DIVIDE_BY_1, APIC_TIMER_DIVIDE
	cmpw $0x6c73, mode		/* "sl" */
	je sleep
	cmpw $0x696d, mode		/* "mi" */
	jne spin
	test $1, %esi
	jnz sleep

spin:
	call compute
	incl rounds(, %esi, 4)
	jmp spin

sleep:
	call calibrate
1:	mov %ebp, %edi
2:	call compute
	cmpl $0, APIC_TIMER_LEFT	/* as calibrate does: under KVM this costs more than the rest */
	dec %edi
	jnz 2b
	incl rounds(, %esi, 4)
	movl $TIMER_VECTOR, APIC_TIMER
	movl $5000000, APIC_TIMER_START
	sti
	hlt
	cli
	jmp 1b

/* %ebp: how often compute fits into 1 ms. The best of many windows, because in others this vCPU had to wait for a CPU of the host. */
calibrate:
	movl $MASKED | TIMER_VECTOR, APIC_TIMER
	mov $1, %ebp
	mov $32, %edi
1:	xor %ecx, %ecx
	movl $1000000, APIC_TIMER_START
2:	call compute
	inc %ecx
	cmpl $0, APIC_TIMER_LEFT
	jne 2b
	cmp %ebp, %ecx
	jbe 3f
	mov %ecx, %ebp
3:	dec %edi
	jnz 1b
	ret

compute:
	mov $200, %eax
1:	imul $1664525, %edx, %edx
	add $1013904223, %edx
	dec %eax
	jnz 1b
	ret

	.section .data
	.align 8
gdt:
	.quad 0
	.quad 0x00cf9a000000ffff	/* 8: flat code */
	.quad 0x00cf92000000ffff	/* 16: flat data */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
idt_pointer:
	.word 256 * 8 - 1
	.long idt
	.align 4
online:
	.long 1
mode:
	.word 0

	.section .bss
	.align 16
idt:
	.skip 256 * 8
stacks:
	.skip MAX_CPUS * STACK_SIZE
	.globl rounds
rounds:					/* of each vCPU; to look at with a debugger */
	.skip MAX_CPUS * 4

	.section .note.GNU-stack, "", @progbits
