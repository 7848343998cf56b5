/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dynmemmap

#if !defined(_TRACE_DYNMEMMAP_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DYNMEMMAP_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(dynmemmap_area,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns),

	TP_STRUCT__entry(
		__field(u32,	area_nr)
		__field(int,	nid)
		__string(reason, reason)
		__field(u64,	duration_ns)
	),

	TP_fast_assign(
		__entry->area_nr = area_nr;
		__entry->nid = nid;
		__assign_str(reason);
		__entry->duration_ns = duration_ns;
	),

	TP_printk("area=%u node=%d reason=%s ns=%llu", __entry->area_nr, __entry->nid,
		  __get_str(reason), __entry->duration_ns)
);

/* An area without struct pages was given some. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_populate,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* An area lost its struct pages; a batch of them shares a TLB flush, which comes later. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_unpopulate,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* Tails that an area shared with others were given struct pages of their own. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_populate_tails,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* An area shares tails with others, and lost its own. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_unpopulate_tails,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* An area left the pool, to be used. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_lend,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* An area enters the pool; the time is that of its batch until then. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_take_back,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* A stray access was repaired: a read where there was nothing, a write to a tail. */
TRACE_EVENT(dynmemmap_repair,
	TP_PROTO(u32 area_nr, int nid, bool write, unsigned long ip, u64 duration_ns),
	TP_ARGS(area_nr, nid, write, ip, duration_ns),

	TP_STRUCT__entry(
		__field(u32,	area_nr)
		__field(int,	nid)
		__field(bool,	write)
		__field(unsigned long, ip)
		__field(u64,	duration_ns)
	),

	TP_fast_assign(
		__entry->area_nr = area_nr;
		__entry->nid = nid;
		__entry->write = write;
		__entry->ip = ip;
		__entry->duration_ns = duration_ns;
	),

	TP_printk("area=%u node=%d reason=%s ip=%pS ns=%llu", __entry->area_nr, __entry->nid,
		  __entry->write ? "write" : "read", (void *)__entry->ip,
		  __entry->duration_ns)
);

#endif /* _TRACE_DYNMEMMAP_H */

#include <trace/define_trace.h>
