/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: what an x86 page fault in the vmemmap means.
 */
#ifndef _ASM_X86_DYNMEMMAP_H
#define _ASM_X86_DYNMEMMAP_H

#include <linux/dynmemmap.h>
#include <linux/uaccess.h>
#include <asm/pgtable_types.h>
#include <asm/ptrace.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>

#ifdef CONFIG_DYNAMIC_MEMMAP
/*
 * Does the instruction write only if it finds what it expects? Whoever tries to get a
 * reference to a folio that has gone meanwhile does not; but it faults as a write. It
 * begins with LOCK, or with DS on a machine with one CPU, and maybe REX.
 */
static inline bool dynmemmap_is_cmpxchg(unsigned long ip)
{
	u8 code[4], *opcode = code + 1;

	if (copy_from_kernel_nofault(code, (void *)ip, sizeof(code)) ||
	    (code[0] != 0xf0 && code[0] != 0x3e))
		return false;
	if ((*opcode & 0xf0) == 0x40)
		opcode++;
	return opcode[0] == 0x0f && (opcode[1] & 0xfe) == 0xb0;
}

/* A write to what is mapped: to a shared tail, where other CPUs have to be told. */
static inline bool dynmemmap_tail_fault(struct pt_regs *regs, unsigned long address,
					bool write)
{
	bool repaired;

	if (!(regs->flags & X86_EFLAGS_IF))
		return false;
	local_irq_enable();
	repaired = dynmemmap_repair_tail(address, write, regs->ip);
	local_irq_disable();
	return repaired;
}

/**
 * dynmemmap_fault() - look at a kernel page fault
 * @regs:	registers at the fault
 * @error_code:	of the fault
 * @address:	that was accessed
 *
 * Context: page fault handler, before any other cause is looked into.
 * Return: true if the access is worth another try.
 */
static inline bool dynmemmap_fault(struct pt_regs *regs, unsigned long error_code,
				   unsigned long address)
{
	bool write;

	if (!dynmemmap_enabled() || address < VMEMMAP_START || error_code & X86_PF_USER)
		return false;
	write = error_code & X86_PF_WRITE && !dynmemmap_is_cmpxchg(regs->ip);
	if (error_code & X86_PF_WRITE && error_code & X86_PF_PROT)
		return dynmemmap_tail_fault(regs, address, write);
	if (!dynmemmap_repair(address, write, error_code & X86_PF_PROT, regs->ip))
		return false;
	/* A page table may have been replaced: forget where the old one was. */
	__flush_tlb_all();
	return true;
}
#else
static inline bool dynmemmap_fault(struct pt_regs *regs, unsigned long error_code,
				   unsigned long address)
{
	return false;
}
#endif

#endif /* _ASM_X86_DYNMEMMAP_H */
