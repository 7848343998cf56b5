/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: what an x86 page fault in the vmemmap means.
 */
#ifndef _ASM_X86_DYNMEMMAP_H
#define _ASM_X86_DYNMEMMAP_H

#include <linux/dynmemmap.h>
#include <asm/insn.h>
#include <asm/pgtable_types.h>
#include <asm/ptrace.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>

#ifdef CONFIG_DYNAMIC_MEMMAP
/*
 * Does the instruction write only if it finds what it expects? Whoever tries to get a
 * reference to a folio that has gone meanwhile does not; but it faults as a write.
 */
static inline bool dynmemmap_is_cmpxchg(unsigned long ip, struct insn *insn)
{
	return !insn_decode_kernel(insn, (void *)ip) &&
	       insn->opcode.bytes[0] == 0x0f && insn->opcode.bytes[1] == 0xb1;
}

/*
 * Do what a CMPXCHG does that finds something else in a shared tail; of the flags, what
 * anybody looks at.
 * Return: false if it would write, or can write now.
 */
static inline bool dynmemmap_cmpxchg_fails(struct pt_regs *regs, const struct insn *insn,
					   unsigned long address)
{
	const bool is_long = insn->opnd_bytes == sizeof(u64);
	const u64 expected = is_long ? regs->ax : (u32)regs->ax;
	const u64 found = is_long ? READ_ONCE(*(u64 *)address) : READ_ONCE(*(u32 *)address);

	if (insn->opnd_bytes < sizeof(u32) || found == expected ||
	    !__dynmemmap_page_is_shared((struct page *)ALIGN_DOWN(address, sizeof(struct page))))
		return false;
	regs->ax = found;
	regs->flags &= ~X86_EFLAGS_ZF;
	regs->ip += insn->length;
	return true;
}

/*
 * A write to what is mapped: to a shared tail, where other CPUs have to be told. Only tasks
 * with interrupts enabled can do that, and wait.
 */
static inline bool dynmemmap_tail_fault(struct pt_regs *regs, unsigned long address)
{
	bool repaired;

	if (!(regs->flags & X86_EFLAGS_IF) || !in_task())
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
	const bool forbidden = error_code & X86_PF_WRITE && error_code & X86_PF_PROT;
	bool is_cmpxchg, write;
	struct insn insn;

	if (!dynmemmap_enabled() || address < VMEMMAP_START || error_code & X86_PF_USER)
		return false;
	if (!(error_code & X86_PF_PROT) && dynmemmap_keep_frame(address))
		return true;
	is_cmpxchg = error_code & X86_PF_WRITE && dynmemmap_is_cmpxchg(regs->ip, &insn);
	write = error_code & X86_PF_WRITE && !is_cmpxchg;
	if (forbidden && ((is_cmpxchg && dynmemmap_cmpxchg_fails(regs, &insn, address)) ||
			  dynmemmap_tail_fault(regs, address)))
		return true;
	if (!dynmemmap_repair(address, write || forbidden, error_code & X86_PF_PROT, regs->ip))
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
