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
