/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: what an x86 page fault in the vmemmap means.
 */
#ifndef _ASM_X86_DYNMEMMAP_H
#define _ASM_X86_DYNMEMMAP_H

#include <linux/dynmemmap.h>
#include <asm/pgtable_types.h>
#include <asm/ptrace.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>

#ifdef CONFIG_DYNAMIC_MEMMAP
/* A write to what is mapped: to a shared tail, where other CPUs have to be told. */
static inline bool dynmemmap_tail_fault(struct pt_regs *regs, unsigned long address)
{
	bool repaired;

	if (!(regs->flags & X86_EFLAGS_IF))
		return false;
	local_irq_enable();
	repaired = dynmemmap_repair_tail(address, regs->ip);
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
	if (!dynmemmap_enabled() || address < VMEMMAP_START)
		return false;
	if (error_code & X86_PF_WRITE && error_code & X86_PF_PROT)
		return dynmemmap_tail_fault(regs, address);
	if (!dynmemmap_repair(address, error_code & X86_PF_WRITE, error_code & X86_PF_PROT,
			      regs->ip))
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
