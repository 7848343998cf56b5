# SPDX-License-Identifier: GPL-2.0-only
#
# Dynamic memmap: build, run and test. Each target brings what it needs.

MAKEFLAGS += --no-print-directory
# The tools start the one parallel make that there is.
.NOTPARALLEL:
.DEFAULT_GOAL := help

timed = @start=$$(date +%s); $(1) && \
	echo "$@: $$(($$(date +%s) - start)) s" >&2

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: kernel kernel-stock ## the demonstration: dynamic memmap beside a stock kernel
	@tools/demo

.PHONY: test
test: kernel kernel-debug kernel-stock ## all tests; TESTS='NAME...' for some
	@tests/run $(TESTS)

.PHONY: bench
bench: kernel kernel-stock ## what it costs: in instructions, at boot, hot-added, and with pmem
	$(call timed,(status=0; for part in run boot dax hotplug; do \
		tests/bench/$$part || status=1; done; exit $$status))

.PHONY: perf
perf: kernel kernel-stock ## latency of splitting huge pages, under perf, stock | dynamic
	$(call timed,tests/bench/perf)

.PHONY: pmem
pmem: kernel kernel-stock ## 64 GiB of persistent memory and 1 GiB of RAM, stock | dynamic
	$(call timed,tests/bench/pmem)

.PHONY: selftests-mm
selftests-mm: kernel kernel-stock ## the kernel's selftests of mm, stock | dynamic; QUICK=1
	$(call timed,tests/selftests-mm $(if $(QUICK),--quick))

.PHONY: check
check: deps ## checkpatch, sparse and W=1 on our code and patches
	$(call timed,tools/check)

.PHONY: kernel
kernel: deps ## build/dynamic/arch/x86/boot/bzImage
	@tools/kernel dynamic

.PHONY: kernel-stock
kernel-stock: deps ## build/stock/arch/x86/boot/bzImage: same source, none of our code
	@tools/kernel stock

.PHONY: kernel-debug
kernel-debug: deps ## build/debug/arch/x86/boot/bzImage: KASAN, lockdep and the rest
	@tools/kernel debug

.PHONY: tree
tree: deps ## build/tree: the patched kernel as a git repository, one commit a patch
	$(call timed,tools/tree)

.PHONY: patches
patches: ## write the commits of build/tree back to patches/ and the overlay
	@tools/tree --write

.PHONY: deps
deps: ## install the Debian packages that are missing
	@tools/deps

.PHONY: clean
clean: ## remove build/; the cache outside the checkout stays
	@rm -rf build
