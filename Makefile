# ringmill: one Makefile, not recursive. `make help` lists the targets.
#
# CONFIG=release|debug|asan|tsan|coverage|fuzz chooses flags and the folder build/$(CONFIG)/. Sources are found by
# wildcard per layer, so a new file or a new workload needs no edit here.

CONFIG ?= release
BUILD := build/$(CONFIG)
CC ?= gcc
AR ?= ar
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
SOVERSION := 0
JOBS ?= $(shell nproc)
MAKEFLAGS += --no-builtin-rules

# --- packages -------------------------------------------------------------------------------------------
PACKAGES := liburing numa libxxhash libzstd jansson
PKG_CONFIG ?= pkg-config
# No package is looked for by a target that installs them or needs none.
PACKAGE_FREE := help clean format deps demo test test-full bench bench-files guest fuzz lint dist uninstall
ifneq ($(filter-out $(PACKAGE_FREE),$(or $(MAKECMDGOALS),all)),)
MISSING := $(strip $(foreach p,$(PACKAGES),$(shell $(PKG_CONFIG) --exists $(p) 2>/dev/null || echo $(p))))
ifneq ($(MISSING),)
$(error pkg-config does not find: $(MISSING). Run scripts/deps.sh build)
endif
PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LIBRARY_LIBS := $(shell $(PKG_CONFIG) --libs liburing numa libxxhash) -lpthread
PROGRAM_LIBS := $(LIBRARY_LIBS) $(shell $(PKG_CONFIG) --libs libzstd jansson)
endif

# Commands are shown in short; V=1 shows them whole.
ifeq ($(V),)
Q := @
say = @echo '  $(1) $@'
else
say = @:
endif

# --- flags ----------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter
COMMON := -std=gnu17 -g -fno-omit-frame-pointer -fvisibility=hidden -fPIC -pthread -MMD -MP -I. \
          -D_GNU_SOURCE -DRMILL_VERSION='"$(VERSION)"' $(PACKAGE_CFLAGS)
CFLAGS_release  := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS_debug    := -O0 -DRMILL_DEBUG
CFLAGS_asan     := -O1 -DRMILL_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined
CFLAGS_tsan     := -O1 -DRMILL_DEBUG -fsanitize=thread
# Clang only; scripts/fuzz.sh says CC=clang.
CFLAGS_fuzz     := -O1 -DRMILL_DEBUG -fsanitize=fuzzer-no-link,address,undefined
CFLAGS_coverage := -O0 -DRMILL_DEBUG --coverage
ifeq ($(CFLAGS_$(CONFIG)),)
$(error CONFIG is one of release debug asan tsan coverage fuzz)
endif
ifdef WERROR
WARNINGS += -Werror
endif
ALL_CFLAGS := $(COMMON) $(WARNINGS) $(CFLAGS_$(CONFIG)) $(CFLAGS)
ALL_LDFLAGS := $(filter -fsanitize% --coverage,$(CFLAGS_$(CONFIG))) -Wl,-z,relro,-z,now $(LDFLAGS)

# --- sources --------------------------------------------------------------------------------------------
SHARED_SOURCES  := $(wildcard base/*.c numa/*.c perf/record/*.c engine/*.c)
LINUX_SOURCES   := $(wildcard uring/*.c engine/linux/*.c)
SIM_SOURCES     := $(wildcard engine/sim/*.c)
URING_SOURCES   := $(wildcard uring/*.c)
PROGRAM_SOURCES := $(filter-out cli/main.c,$(wildcard cli/*.c workloads/*/*.c))
object = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIBRARY_A  := $(BUILD)/libringmill.a
LIBRARY_SO := $(BUILD)/libringmill.so.$(SOVERSION)
SIM_A      := $(BUILD)/libringmill-sim.a
PROGRAM_A  := $(BUILD)/program.a
PROGRAM    := $(BUILD)/ringmill

.PHONY: bench-files all deps demo test test-full check asan tsan coverage sim fuzz stress bench bench-quick guest \
        install uninstall dist clean format lint help tests benches fuzz-targets
.DEFAULT_GOAL := all

# The simulator's program is built once the simulator is there to be tested.
SIM_PROGRAM := $(if $(wildcard tests/sim/test_*.c),$(BUILD)/ringmill-sim)

all: $(PROGRAM) $(LIBRARY_A) $(BUILD)/libringmill.so $(BUILD)/ringmill.pc $(SIM_PROGRAM) ## the program and the library (default)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(LIBRARY_A): $(call object,$(SHARED_SOURCES) $(LINUX_SOURCES))
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

# The simulator takes the place of engine/linux. Of uring/ only what is plain data (operations, verdicts) is
# drawn in.
$(SIM_A): $(call object,$(SHARED_SOURCES) $(SIM_SOURCES) $(URING_SOURCES))
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(PROGRAM_A): $(call object,$(PROGRAM_SOURCES))
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(LIBRARY_SO): $(call object,$(SHARED_SOURCES) $(LINUX_SOURCES)) engine/ringmill.map
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,libringmill.so.$(SOVERSION) \
	    -Wl,--version-script=engine/ringmill.map -o $@ $(filter %.o,$^) $(LIBRARY_LIBS)

$(BUILD)/libringmill.so: $(LIBRARY_SO)
	$(Q)ln -sf $(notdir $<) $@

$(PROGRAM): $(BUILD)/cli/main.o $(PROGRAM_A) $(LIBRARY_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PROGRAM_LIBS)

$(BUILD)/ringmill-sim: $(BUILD)/tests/sim/ringmill_sim.o $(BUILD)/tests/sim/scenarios.o $(SIM_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARY_LIBS)

$(BUILD)/ringmill.pc: Makefile
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	    'Name: libringmill' 'Description: thread-per-core, shared-nothing engine on io_uring' \
	    'Version: $(VERSION)' 'Requires.private: liburing numa libxxhash' \
	    'Libs: -L$${libdir} -lringmill' 'Libs.private: -lpthread' 'Cflags: -I$${includedir}/ringmill' > $@

# --- tests ----------------------------------------------------------------------------------------------
# tests/<kind>/test_*.c is one cmocka program each. tests/sim links with the simulator instead of Linux.
TEST_KINDS   := unit property stress fault golden
TEST_SOURCES := $(foreach k,$(TEST_KINDS),$(wildcard tests/$(k)/test_*.c))
SIM_TESTS    := $(wildcard tests/sim/test_*.c)
TEST_HELPERS := $(call object,$(wildcard tests/*.c))
TEST_BINS    := $(patsubst %.c,$(BUILD)/%,$(TEST_SOURCES))
SIM_BINS     := $(patsubst %.c,$(BUILD)/%,$(SIM_TESTS))
FUZZ_BINS    := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))

$(TEST_BINS): $(BUILD)/%: $(BUILD)/%.o $(TEST_HELPERS) $(PROGRAM_A) $(LIBRARY_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PROGRAM_LIBS) -lcmocka

# Small programs that tests start.
TEST_TOOLS := $(BUILD)/tests/fault/without_uring $(BUILD)/tests/guest/placement
$(TEST_TOOLS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARY_LIBS)

$(SIM_BINS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/sim/scenarios.o $(TEST_HELPERS) $(PROGRAM_A) $(SIM_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PROGRAM_LIBS) -lcmocka

# A fuzz target linked with a plain driver replays its corpus; with CONFIG=fuzz libFuzzer is the driver.
FUZZ_DRIVER := $(if $(filter fuzz,$(CONFIG)),,$(BUILD)/tests/fuzz/replay.o)

$(FUZZ_BINS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_DRIVER) $(PROGRAM_A) \
              $(LIBRARY_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) $(if $(FUZZ_DRIVER),,-fsanitize=fuzzer) -o $@ $^ $(PROGRAM_LIBS)

fuzz-targets: $(FUZZ_BINS)

tests: all $(TEST_BINS) $(TEST_TOOLS) $(SIM_BINS) $(FUZZ_BINS) benches

deps:
	@scripts/deps.sh build

demo: ## install what is missing, build, pack /usr/share (or DEMO_DIR=...), verify, restore, compare
	@scripts/deps.sh build demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@scripts/demo.sh $(PROGRAM) $(or $(DEMO_DIR),/usr/share)

test: ## install what is missing, build, run every test that is quick (at most 3 minutes on two cores)
	@scripts/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) tests
	@scripts/run-tests.sh $(BUILD)

test-full: ## the long tests: sanitizers, fuzzing, more seeds, the guest (at most 40 minutes)
	@scripts/deps.sh build test full guest
	@scripts/test-full.sh

check: ## layers, style rules, public headers alone as C and C++, exported symbols
	@scripts/check.sh $(BUILD)

asan: ## the test suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=asan tests
	@scripts/run-tests.sh build/asan

tsan: ## the test suite under ThreadSanitizer
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=tsan tests
	@scripts/run-tests.sh build/tsan

coverage: ## line coverage of the test suite (gcov)
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=coverage tests
	@scripts/run-tests.sh build/coverage
	@scripts/coverage.sh build/coverage

sim: $(SIM_BINS) ## simulation with many seeds: make sim SEEDS=5000
	@for t in $(SIM_BINS); do RMILL_SIM_SEEDS=$(or $(SEEDS),2000) $$t || exit 1; done

stress: ## the stress tests under ThreadSanitizer
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=tsan tests
	@for t in build/tsan/tests/stress/test_*; do case $$t in *.o|*.d) ;; *) $$t || exit 1;; esac; done

fuzz: ## run every fuzz target under libFuzzer: make fuzz SECONDS_EACH=60
	@scripts/fuzz.sh $(or $(SECONDS_EACH),60)

guest: ## boot a two-node guest with an NVMe drive in qemu and run the tests this machine cannot
	@scripts/deps.sh build test guest
	@scripts/guest.sh

# --- benchmarks -----------------------------------------------------------------------------------------
BENCH_SOURCES := $(wildcard tests/bench/bench_*.c)
BENCH_BINS    := $(patsubst %.c,$(BUILD)/%,$(BENCH_SOURCES))

$(BENCH_BINS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/bench/bench.o $(PROGRAM_A) $(LIBRARY_A)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PROGRAM_LIBS)

benches: $(BENCH_BINS)

bench: ## every benchmark of an engine primitive, its floor beside it
	@scripts/deps.sh build bench
	@$(MAKE) --no-print-directory -j$(JOBS) benches
	@for b in $(BENCH_BINS); do $$b || exit 1; done

bench-quick: ## the same, tiny: proves that they run
	@$(MAKE) --no-print-directory -j$(JOBS) benches
	@for b in $(BENCH_BINS); do $$b --quick || exit 1; done

bench-files: ## pack, verify, unpack beside tar and zstd: make bench-files BENCH_DIR=/usr/share ROUNDS=5
	@scripts/deps.sh build bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@scripts/bench-files.sh $(PROGRAM) $(or $(BENCH_DIR),/usr/share) $(or $(ROUNDS),5)

bench-%: $(BUILD)/tests/bench/bench_% ## one benchmark: make bench-channel
	@$<

# --- installing -----------------------------------------------------------------------------------------
install: all ## install under PREFIX (default /usr/local), honouring DESTDIR
	@DESTDIR='$(DESTDIR)' scripts/install.sh install $(BUILD) '$(PREFIX)'

uninstall: ## remove what install put there
	@DESTDIR='$(DESTDIR)' scripts/install.sh uninstall $(BUILD) '$(PREFIX)'

dist: ## a source archive of HEAD
	@mkdir -p dist
	git archive --prefix=ringmill-$(VERSION)/ -o dist/ringmill-$(VERSION).tar.gz HEAD

clean: ## remove build/ and dist/
	rm -rf build dist

format: ## clang-format every source in place
	clang-format -i $(shell git ls-files '*.c' '*.h')

lint: ## clang-tidy and cppcheck
	@scripts/lint.sh

help: ## this list
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
