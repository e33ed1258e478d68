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
 *
 * The boot processor also does now and then what an operating system would: it switches off when the power button is pressed, starts a
 * vCPU that was plugged, and lets one go that is to be unplugged (QEMU's docs/specs/acpi_cpu_hotplug). Only on machine type pc.
 */
	.set MAX_CPUS, 8
	.set STACK_SIZE, 512
	.set TRAMPOLINE_AT, 0x8000	/* a start-up IPI can only name a page below 1 MiB */

	.set APIC, 0xfee00000
	.set APIC_ID, APIC + 0x20
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

	.set PM1_STATUS, 0x600
	.set PM1_ENABLE, PM1_STATUS + 2
	.set PM1_CONTROL, PM1_STATUS + 4
	.set POWER_BUTTON, 0x100
	.set SOFT_OFF, 0x2000

	.set CPU_SELECT, 0xaf00
	.set CPU_STATE, CPU_SELECT + 4
	.set CPU_INSERTED, 2
	.set CPU_REMOVING, 4
	.set CPU_EJECT, 8

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
	mov $PM1_ENABLE, %edx
	mov $POWER_BUTTON, %eax
	out %ax, %dx
	/* The older interface, which is there first, gives way to the present one when it is written to. */
	mov $CPU_SELECT, %edx
	xor %eax, %eax
	out %eax, %dx
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
	lock incl online
	jmp work

/* Here and below, %esi is this vCPU's index: libvirt gives each a socket of its own, so it is the APIC's, too. */
work:
	mov APIC_ID, %esi
	shr $24, %esi
	cmp $MAX_CPUS, %esi
	jae rest
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
	testl $0xfff, rounds(, %esi, 4)
	jnz spin
	call obey
	jmp spin

rest:
	hlt
	jmp rest

sleep:
	call calibrate
1:	mov %ebp, %edi
2:	call compute
	cmpl $0, APIC_TIMER_LEFT	/* as calibrate does: under KVM this costs more than the rest */
	dec %edi
	jnz 2b
	incl rounds(, %esi, 4)
	testl $0xf, rounds(, %esi, 4)
	jnz 3f
	call obey
3:	movl $TIMER_VECTOR, APIC_TIMER
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

/* Does on the boot processor what the host asks for. */
obey:
	test %esi, %esi
	jnz 9f
	mov $PM1_STATUS, %edx
	in %dx, %ax
	test $POWER_BUTTON, %eax
	jz 1f
	mov $PM1_CONTROL, %edx
	mov $SOFT_OFF, %eax
	out %ax, %dx
1:	mov $MAX_CPUS - 1, %ecx
2:	mov $CPU_SELECT, %edx
	mov %ecx, %eax
	out %eax, %dx
	mov $CPU_STATE, %edx
	in %dx, %al
	test $CPU_INSERTED, %al
	jz 3f
	mov $CPU_INSERTED, %al
	out %al, %dx
	/* The others, which run, ignore it. */
	movl $ALL_BUT_SELF | STARTUP_IPI | (TRAMPOLINE_AT >> 12), APIC_COMMAND
	jmp 4f
3:	test $CPU_REMOVING, %al
	jz 4f
	mov $CPU_EJECT, %al
	out %al, %dx
4:	loop 2b
9:	ret

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
