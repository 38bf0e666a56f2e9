# make                      build/libioq.so, build/libioq.a and build/ioq-du
# make run DIR=/usr         disk usage of DIR, through the library
# make test                 the tests that take some minutes each, after installing the tools that this machine lacks
# make install, uninstall   with PREFIX, BINDIR, LIBDIR, INCLUDEDIR, MANDIR, DESTDIR; INSTALL_PROGRAM='install -s' strips
# make CARGO_BUILD_TARGET=s390x-unknown-linux-gnu CC=s390x-linux-gnu-gcc, with any of these: for another machine
# make dist                 the source with the crates that it needs, to be built without a network
# make bench                the benchmarks; IOQ_OTHER='FLAGS' compares them with another implementation
# make headers              write include/ anew from the Rust source
# make abi                  write the description of the ABI anew, which check-abi compares with the headers
# make man                  the manual pages, in build/man; they are part of `make` too
#
# What proves what, and how, is in docs/testing.md:
#
# make check-all            all of these but those of check-everywhere; some two hours
# make check-rust           unit tests; the C tests on every backend; headers, linking, the installed files
# make check-loom           the parts that synchronise, in every interleaving
# make check-shuttle        whole queues in random interleavings; IOQ_ITERATIONS says how many
# make check-shuttle-anew   the same, several times as many and others each time; SHUTTLE_RANDOM_SEED repeats one
# make check-matrix-anew    check-matrix, several times as many and others each time; IOQ_MATRIX_BASE repeats one
# make check-mutations      whether the models notice mistakes that are made on purpose
# make check-faults         each call of the library's that can fail fails, at each place
# make check-some-faults    every seventh case of that
# make check-kernel         the rings on a scripted kernel; IOQ_KERNEL_SEEDS=N for more random scripts
# make check-refusal        the C tests where system calls are refused, and descriptors and memory are scarce
# make check-some-refusal   of calls that may be refused in several ways, one each
# make check-matrix         random requests against plain system calls, in every condition; IOQ_MATRIX_SEEDS=N for more
# make check-asan, check-tsan, check-ubsan   the C tests with a sanitizer, in them and in the library
# make check-valgrind       the C tests under valgrind: no leak, no descriptor left open
# make check-parking-lot    the unit tests and the C tests with parking_lot's locks
# make check-corpus         the calls that fuzzing found worth keeping
# make check-fuzz           fuzzing of the C functions, for FUZZ_SECONDS, 1800 by default
# make check-soak           a mixed load for SOAK_SECONDS, 600 by default; SOAK_SEED repeats one
# make check-everywhere     the tests on other machines, C libraries, kernels and systems; PARTS='i686 musl' for some of them
# make check-old-kernels    one of these: the C tests on other kernels, in virtual machines
# make check-packages       another: the Debian packages, built and installed in fresh systems
# make check-du             ioq-du against du, and whether ioq-rm removes what it is to, and nothing else
# make check-examples       the other examples against programs of the system
# make check-abi            whether programs that were built before still find the ABI that they were built for

CARGO ?= cargo
CARGOFLAGS ?= --locked
RUSTC ?= rustc
CFLAGS ?= -O2 -g -Wall -Wextra
INSTALL_PROGRAM ?= install -m 755
INSTALL_DATA ?= install -m 644

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DIR ?= /usr

version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
date := $(shell sed -n 's/^date = "\(.*\)"/\1/p' Cargo.toml)
major := $(firstword $(subst ., ,$(version)))
soname := libioq.so.$(major)
so := libioq.so.$(version)
target := $(or $(CARGO_TARGET_DIR),target)
# Where the results go, for libraries that are built with other flags to have a place of their own.
BUILD := build

examples := $(addprefix $(BUILD)/,ioq-du ioq-rm ioq-stat ioq-sum)
headers := include/ioq.h include/ioq/dir.h include/ioq/stat.h include/ioq/walk.h
rust := Cargo.toml Cargo.lock Makefile $(shell find src -name '*.rs')

# For another machine, its C compiler links.
ifdef CARGO_BUILD_TARGET
linker := CARGO_TARGET_$(shell echo $(CARGO_BUILD_TARGET) | tr a-z- A-Z_)_LINKER
$(linker) ?= $(CC)
export $(linker)
endif

.DELETE_ON_ERROR:
# A make that the tests start is no part of this one: it must not inherit its variables, nor Cargo its job server.
unexport MAKEFLAGS MFLAGS

.PHONY: all
all: $(BUILD)/libioq.so $(BUILD)/$(soname) $(BUILD)/libioq.a $(examples) man

## The libraries

# Both libraries begin as static ones: to a shared one, rustc gives a list of exports of its own, which has no versions,
# and takes no other beside it. One crate type at a time, or Cargo leaves LTO out without a word; asking rustc for it as well
# makes that an error. A target directory of their own, because `cargo build --release` writes files of the same names.
cargo-lib = $(CARGO) rustc $(CARGOFLAGS) --release --lib --target-dir $(target)/shipped --crate-type staticlib $1 -- \
	-C lto=fat --cfg ioq_shipped
compiled := $(target)/shipped/$(CARGO_BUILD_TARGET)/release/libioq.a
# The tools that belong to the C compiler, which may be for another machine.
binutil = $(shell $(CC) -print-prog-name=$1)

# What `rustc --print native-static-libs` tells, without -lgcc_s and -lc: the compiler adds the right form of these,
# and with -static there is no libgcc_s. Since glibc 2.34 all of it is in libc.
libs-private := -lutil -lrt -lpthread -lm -ldl

functions := $(shell cat exports.txt)
# Those that C knows by other names have no pages of their own.
pages := $(filter-out %_time64,$(functions))

# The static part of libgcc_s, to unwind, which the shipped library never does, spares every program that starts the
# loading of one library more.
$(BUILD)/$(so): $(rust) $(BUILD)/ioq.map
	$(call cargo-lib)
	$(CC) -shared -static-libgcc -o $@ -Wl,-soname,$(soname) -Wl,--version-script=$(BUILD)/ioq.map \
		-Wl,--gc-sections -Wl,-z,relro,-z,now $(functions:%=-Wl,-u,%) $(compiled) -Wl,--as-needed $(libs-private)

# The functions that came with a version of the library are that version's symbols: programs that use them say so.
$(BUILD)/ioq.map: exports.txt | $(BUILD)
	{ echo 'IOQ_0.1 { global:'; sed 's/$$/;/' $<; echo 'local: *; };'; } >$@

# A single object, in which nothing is global but what the headers declare. Rust's standard library is part of every
# static library that is written in Rust, and two of its names in one program would not link. After the shared library,
# because Cargo gives both the same name. What nothing in it refers to any more need not be found: programs for musl that
# are linked where there is no unwinder for it would not be.
$(BUILD)/libioq.a: $(rust) exports.txt | $(BUILD)/$(so)
	$(call cargo-lib,--features static)
	$(call binutil,ld) -r --gc-sections --force-group-allocation $(functions:%=-u %) -o $(BUILD)/libioq.o $(compiled)
	$(call binutil,objcopy) --keep-global-symbols=exports.txt --wildcard --strip-unneeded-symbol='_Unwind_*' $(BUILD)/libioq.o
	rm -f $@
	$(call binutil,ar) rcs $@ $(BUILD)/libioq.o

$(BUILD)/libioq.so $(BUILD)/$(soname): $(BUILD)/$(so)
	ln -sf $(so) $@

$(BUILD):
	mkdir -p $@

## The programs

# Found next to the program in build/, and in PREFIX/lib once installed. Packages that install to the system's own
# directories need no run path: `make RPATH=`.
RPATH ?= -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib'

$(examples): $(BUILD)/%: examples/%.c $(headers) $(BUILD)/libioq.so $(BUILD)/$(soname)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Iinclude -o $@ $< $(LDFLAGS) $(RPATH) -L$(BUILD) -lioq -lm $(LDLIBS)

.PHONY: run
run: $(BUILD)/ioq-du
	@echo 'disk usage, path:'
	@$(BUILD)/ioq-du -sh -- '$(subst ','\'',$(value DIR))'

## Manual pages

.PHONY: man
man: $(BUILD)/man/ioq.7

# All pages at once.
$(BUILD)/man/ioq.7: $(BUILD)/generate-man $(headers) $(rust) $(wildcard man/*.in) README.md
	$< . $(@D) $(version) $(date)

$(BUILD)/generate-man: $(wildcard man/generate/*.rs) | $(BUILD)
	$(RUSTC) --edition 2024 -o $@ man/generate/main.rs

## Tests

# tests/all.sh runs each of these targets with make, and adds up their counts.
quick := check-rust check-loom check-shuttle check-kernel check-matrix check-corpus check-du check-examples lint check-asan check-some-faults \
	check-ubsan check-tsan check-some-refusal check-valgrind check-abi
long := check-faults check-refusal check-mutations check-shuttle-anew check-matrix-anew check-parking-lot check-soak check-fuzz
everywhere := check-i686 check-musl check-s390x check-armhf check-aarch64 check-minimum-rust
elsewhere := $(everywhere) check-old-kernels check-packages

.PHONY: test check-all check-everywhere $(quick) $(long) $(elsewhere)
test: all
	tests/setup.sh
	tests/all.sh $(quick)

# Of what is there in part and whole, the whole.
check-all: all
	tests/setup.sh
	tests/all.sh $(filter-out check-some-%,$(quick)) $(long)

check-rust:
	$(CARGO) test $(CARGOFLAGS) --no-fail-fast

check-loom:
	RUSTFLAGS="$(RUSTFLAGS) --cfg ioq_loom" $(CARGO) test $(CARGOFLAGS) --profile models --lib --target-dir $(target)/loom

check-shuttle:
	RUSTFLAGS="$(RUSTFLAGS) --cfg ioq_shuttle" $(CARGO) test $(CARGOFLAGS) --profile models --lib \
		--target-dir $(target)/shuttle models::

check-shuttle-anew: export SHUTTLE_RANDOM_SEED := $(or $(SHUTTLE_RANDOM_SEED),$(strip $(shell od -An -N4 -tu4 /dev/urandom)))
check-shuttle-anew: export IOQ_ITERATIONS := $(or $(IOQ_ITERATIONS),20000)
check-shuttle-anew:
	@echo "SHUTTLE_RANDOM_SEED=$$SHUTTLE_RANDOM_SEED IOQ_ITERATIONS=$$IOQ_ITERATIONS"
	$(MAKE) --no-print-directory check-shuttle

check-mutations: export IOQ_MUTATE := 1
check-mutations check-kernel check-faults check-matrix:
	tests/setup.sh
	$(CARGO) test $(CARGOFLAGS) --test $(@:check-%=%)

check-some-faults:
	IOQ_FAULTS_EVERY=7 $(MAKE) --no-print-directory check-faults

check-matrix-anew: export IOQ_MATRIX_BASE := $(or $(IOQ_MATRIX_BASE),random)
check-matrix-anew: export IOQ_MATRIX_SEEDS := $(or $(IOQ_MATRIX_SEEDS),20)
check-matrix-anew:
	$(MAKE) --no-print-directory check-matrix

check-refusal: refusal := refusal
check-some-refusal: refusal := some-refusal
check-refusal check-some-refusal:
	tests/setup.sh
	IOQ_TEST_CONDITIONS=$(refusal) $(CARGO) test $(CARGOFLAGS) --test c_programs

check-asan: sanitizer := address
check-tsan: sanitizer := thread
check-ubsan: sanitizer := undefined
check-asan check-tsan check-ubsan:
	tests/setup.sh
	tests/sanitizers/run.sh $(sanitizer)

check-valgrind: valgrind-prefix := $(abspath $(target))/valgrind
check-valgrind:
	tests/setup.sh valgrind
	$(MAKE) --silent install PREFIX=$(valgrind-prefix)
	IOQ_TEST_WRAPPER=tests/valgrind.sh tests/sanitizers/canaries.sh memcheck $(valgrind-prefix)
	IOQ_PREFIX=$(valgrind-prefix) IOQ_TEST_WRAPPER=tests/valgrind.sh IOQ_TEST_CONDITIONS=few $(CARGO) test $(CARGOFLAGS) --test c_programs

# Those that are about memory or forking are left out: there these locks are known to fail.
check-parking-lot: parking-lot := $(abspath $(target))/parking-lot
check-parking-lot:
	tests/setup.sh
	$(CARGO) test $(CARGOFLAGS) --features parking_lot --lib
	CARGO_TARGET_DIR=$(parking-lot) $(MAKE) --silent install CARGOFLAGS='$(CARGOFLAGS) --features parking_lot' \
		BUILD=$(parking-lot)/build PREFIX=$(parking-lot)/prefix
	IOQ_PREFIX=$(parking-lot)/prefix $(CARGO) test $(CARGOFLAGS) --test c_programs -- \
		--skip starved --skip fork

check-corpus:
	$(CARGO) test $(CARGOFLAGS) --manifest-path fuzz/Cargo.toml --target-dir $(target)/corpus --test corpus

FUZZ_SECONDS ?= 1800
check-fuzz: check-corpus
	tests/setup.sh cargo-fuzz
	tests/fuzz.sh $(FUZZ_SECONDS) $(target)/fuzz

SOAK_SECONDS ?= 600
check-soak: $(BUILD)/soak
	tests/soak.sh $(BUILD)/soak $(SOAK_SECONDS) $(SOAK_SEED)

$(BUILD)/soak: c-tests/soak/soak.c c-tests/test.h $(headers) $(BUILD)/libioq.so $(BUILD)/$(soname)
	$(CC) $(CPPFLAGS) $(CFLAGS) -std=c11 -pthread -Iinclude -o $@ $< $(LDFLAGS) $(RPATH) -L$(BUILD) -lioq $(LDLIBS)

check-old-kernels:
	tests/setup.sh qemu-system-x86_64 busybox cpio debian-archive-keyring
	$(CARGO) test $(CARGOFLAGS) --test old_kernels

# Below IOQ_EVERYWHERE, target/everywhere by default.
PARTS ?= $(elsewhere:check-%=%)
check-everywhere:
	tests/all.sh $(PARTS:%=check-%)

$(everywhere): check-%:
	tests/setup.sh debootstrap
	tests/everywhere/run.sh $*

check-du: $(BUILD)/ioq-du $(BUILD)/ioq-rm
	status=0; tests/du.sh $(BUILD)/ioq-du || status=1; tests/rm.sh $(BUILD)/ioq-rm || status=1; exit $$status

check-abi: $(BUILD)/ioq.map
	tests/setup.sh abidiff
	tests/abi.sh $(BUILD)/ioq.map $(soname)

check-examples: $(examples)
	tests/examples.sh $(BUILD)

check-packages: dist
	tests/setup.sh debootstrap
	tests/packages.sh $(dist)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy $(CARGOFLAGS) --all-targets -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) --test '*' -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) --lib --features static -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) --lib --features parking_lot -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(CARGOFLAGS) --no-deps --document-private-items

.PHONY: headers abi
headers:
	IOQ_BLESS=1 $(CARGO) test $(CARGOFLAGS) --test headers

abi: $(BUILD)/ioq.map
	IOQ_BLESS=1 tests/abi.sh $(BUILD)/ioq.map $(soname)

## Benchmarks

# The driver only starts the programs that it compiles, so it need not be fast itself. BENCH_ONLY chooses groups (such as
# slow), BENCH_FROM shows what was recorded before, and BENCH_SVG is where the plot goes; docs/benchmarks.md has more.
.PHONY: bench
bench: $(BUILD)/libioq.so $(BUILD)/$(soname)
	CC='$(CC)' CFLAGS='$(CFLAGS)' $(CARGO) bench $(CARGOFLAGS) --profile dev --bench main

## Installation

tools := ioq-du ioq-rm
cmake := ioqConfig.cmake ioqConfigVersion.cmake
installed := $(addprefix $(BINDIR)/,$(tools)) \
	$(addprefix $(LIBDIR)/,$(so) $(soname) libioq.so libioq.a pkgconfig/ioq.pc $(addprefix cmake/ioq/,$(cmake))) \
	$(patsubst include/%,$(INCLUDEDIR)/%,$(headers)) \
	$(addprefix $(MANDIR)/,$(tools:%=man1/%.1) man7/ioq.7 $(patsubst %,man3/%.3,$(pages)))

# In ioq.pc, paths below the prefix are written so that pkg-config can move it.
relative = $(patsubst $(PREFIX)/%,$${prefix}/%,$1)

# Installs a template, filled in, as a file.
install-filled = sed -e 's|@VERSION@|$(version)|' -e 's|@MAJOR@|$(major)|' -e 's|@SO@|$(so)|' -e 's|@SONAME@|$(soname)|' \
	-e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call relative,$(LIBDIR))|' \
	-e 's|@INCLUDEDIR@|$(call relative,$(INCLUDEDIR))|' -e 's|@LIBS_PRIVATE@|$(libs-private)|' \
	-e "s|@INCLUDEDIR_FROM_LIBDIR@|$$(realpath -ms --relative-to='$(LIBDIR)' '$(INCLUDEDIR)')|" \
	-e "s|@POINTER_SIZE@|$$(echo __SIZEOF_POINTER__ | $(CC) -E -P -)|" $1 | \
	$(INSTALL_DATA) /dev/stdin $(DESTDIR)$2

.PHONY: install
install: all
	install -d $(addprefix $(DESTDIR),$(sort $(dir $(installed))))
	$(INSTALL_PROGRAM) $(addprefix $(BUILD)/,$(tools)) $(DESTDIR)$(BINDIR)
	$(INSTALL_PROGRAM) $(BUILD)/$(so) $(DESTDIR)$(LIBDIR)
	ln -sf $(so) $(DESTDIR)$(LIBDIR)/$(soname)
	ln -sf $(so) $(DESTDIR)$(LIBDIR)/libioq.so
	$(INSTALL_DATA) $(BUILD)/libioq.a $(DESTDIR)$(LIBDIR)
	$(INSTALL_DATA) include/ioq.h $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL_DATA) $(wildcard include/ioq/*.h) $(DESTDIR)$(INCLUDEDIR)/ioq
	$(call install-filled,ioq.pc.in,$(LIBDIR)/pkgconfig/ioq.pc)
	$(call install-filled,cmake/ioqConfig.cmake.in,$(LIBDIR)/cmake/ioq/ioqConfig.cmake)
	$(call install-filled,cmake/ioqConfigVersion.cmake.in,$(LIBDIR)/cmake/ioq/ioqConfigVersion.cmake)
	$(INSTALL_DATA) $(tools:%=$(BUILD)/man/%.1) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL_DATA) $(patsubst %,$(BUILD)/man/%.3,$(pages)) $(DESTDIR)$(MANDIR)/man3
	$(INSTALL_DATA) $(BUILD)/man/ioq.7 $(DESTDIR)$(MANDIR)/man7

.PHONY: dist
dist := $(BUILD)/libioq-$(version).tar.xz
dist: | $(BUILD)
	packaging/dist.sh $(dist)

# Directories go too once they are empty, but not the top ones of /usr and /usr/local: those are the system's.
system := $(foreach p,/usr /usr/local,$(addprefix $p/,bin lib include share share/man))
directories = $(INCLUDEDIR)/ioq $(addprefix $(LIBDIR)/,pkgconfig cmake/ioq cmake) $(addprefix $(MANDIR)/,man1 man3 man7) \
	$(MANDIR) $(BINDIR) $(INCLUDEDIR) $(LIBDIR) $(addprefix $(PREFIX)/,lib share)

.PHONY: uninstall
uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))
	@rmdir $(filter-out $(system),$(abspath $(addprefix $(DESTDIR),$(directories)))) 2>/dev/null || true

.PHONY: clean
clean:
	rm -rf $(BUILD) target $(addprefix $(target)/,shipped loom shuttle mutations sanitizers valgrind parking-lot corpus fuzz)
