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

/* An area was given its struct pages. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_populate,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* An area went from the pool to the buddy allocator. */
DEFINE_EVENT(dynmemmap_area, dynmemmap_lend,
	TP_PROTO(u32 area_nr, int nid, const char *reason, u64 duration_ns),
	TP_ARGS(area_nr, nid, reason, duration_ns)
);

/* A batch of areas lost their struct pages. */
TRACE_EVENT(dynmemmap_unpopulate,
	TP_PROTO(u32 lowest_area_nr, u32 highest_area_nr, unsigned int nr_areas, int nid,
		 const char *reason, u64 duration_ns),
	TP_ARGS(lowest_area_nr, highest_area_nr, nr_areas, nid, reason, duration_ns),

	TP_STRUCT__entry(
		__field(u32,	lowest_area_nr)
		__field(u32,	highest_area_nr)
		__field(unsigned int, nr_areas)
		__field(int,	nid)
		__string(reason, reason)
		__field(u64,	duration_ns)
	),

	TP_fast_assign(
		__entry->lowest_area_nr = lowest_area_nr;
		__entry->highest_area_nr = highest_area_nr;
		__entry->nr_areas = nr_areas;
		__entry->nid = nid;
		__assign_str(reason);
		__entry->duration_ns = duration_ns;
	),

	TP_printk("areas=%u-%u nr_areas=%u node=%d reason=%s ns=%llu",
		  __entry->lowest_area_nr, __entry->highest_area_nr, __entry->nr_areas,
		  __entry->nid, __get_str(reason), __entry->duration_ns)
);

/* A batch of areas went from the buddy allocator to the pool; the first was @area_nr. */
TRACE_EVENT(dynmemmap_take_back,
	TP_PROTO(u32 area_nr, unsigned long nr_areas, int nid, int zid, const char *reason,
		 u64 duration_ns),
	TP_ARGS(area_nr, nr_areas, nid, zid, reason, duration_ns),

	TP_STRUCT__entry(
		__field(u32,	area_nr)
		__field(unsigned long, nr_areas)
		__field(int,	nid)
		__field(int,	zid)
		__string(reason, reason)
		__field(u64,	duration_ns)
	),

	TP_fast_assign(
		__entry->area_nr = area_nr;
		__entry->nr_areas = nr_areas;
		__entry->nid = nid;
		__entry->zid = zid;
		__assign_str(reason);
		__entry->duration_ns = duration_ns;
	),

	TP_printk("area=%u nr_areas=%lu node=%d zone=%d reason=%s ns=%llu",
		  __entry->area_nr, __entry->nr_areas, __entry->nid, __entry->zid,
		  __get_str(reason), __entry->duration_ns)
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
