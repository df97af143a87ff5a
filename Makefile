# Everything that a developer, a user who builds it, and CI need. `make help` lists it.

SWIFT ?= swift
PREFIX ?= /usr/local
FUZZ_TARGETS ?= vhd vhdx vhdxlog iso partitions iso9660 udf ctl sddl protocol
FUZZ_SECONDS ?= 60
DAMAGE_ROUNDS ?= 200
POWERCUT_STATES ?= 100000
KILL_ROUNDS ?= 200
SOAK_SECONDS ?= 3600
SANITIZE ?=

# Long runs drive what users have, the optimized program; `make soak SANITIZE=thread` (or `address`) one that watches itself.
LONG_TEST = ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c release --scratch-path .build-optimized$(SANITIZE:%=-%) -Xswiftc -enable-testing \
	$(SANITIZE:%=--sanitize=%) $(if $(filter thread,$(SANITIZE)),-Xswiftc -DVHDFS_TSAN)

# What only computes first: beside it, tests that wait for other processes would wait for too long.
define run_tests
$(1) --filter 'FormatTests|FuzzTests|PowerCutTests'
$(1) --skip 'FormatTests|FuzzTests|PowerCutTests'
endef

.PHONY: help run build bench bench-instructions install test check format lint test-thread test-address fuzz damage powercut kill soak packages-build packages-test clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 16

packages-build:
	@scripts/install-packages build

packages-test:
	@scripts/install-packages build test

build: packages-build ## Build the release binary, .build/release/vhdfs
	$(SWIFT) build -c release --static-swift-stdlib --product vhdfs
	$(SWIFT) build -c release --static-swift-stdlib --product vhdfs-volume
	$(SWIFT) build -c release --static-swift-stdlib --product sample-images

bench: build ## Compare the speed with the limit of FUSE and with others, as root: BENCH=--short for three minutes, "BENCH=--only read"
	@scripts/install-packages bench
	Benchmarks/bench $(BENCH)

bench-instructions: packages-build ## Count the instructions of a read, of resolving a range, of a request
	@scripts/install-packages instructions
	@SWIFT="$(SWIFT)" scripts/count-instructions

install: ## After `make build`: install the release binary, by default as /usr/local/bin/vhdfs (DESTDIR=, PREFIX=)
	@test -x .build/release/vhdfs || { echo 'run "make build" first' >&2; exit 1; }
	install -D -m 755 .build/release/vhdfs "$(DESTDIR)$(PREFIX)/bin/vhdfs"
	install -D -m 755 .build/release/vhdfs-volume "$(DESTDIR)$(PREFIX)/libexec/vhdfs/vhdfs-volume"
	install -D -m 644 "packaging/systemd/vhdfs@.service" "$(DESTDIR)$(PREFIX)/lib/systemd/system/vhdfs@.service"
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' "$(DESTDIR)$(PREFIX)/lib/systemd/system/vhdfs@.service"

run: build ## Install what is missing, build, and show the main job on images that it makes itself
	@PATH="$$PWD/.build/release:$$PATH" scripts/demo

test: packages-test ## Install what the tests need and run them all
	$(SWIFT) build --build-tests
	@PATH="$$($(SWIFT) build --show-bin-path):$$PATH" scripts/test-readme
	@scripts/install-dissect > /dev/null || echo 'dissect.hypervisor can not be installed; tests that compare with it are skipped'
	$(call run_tests,$(SWIFT) test --skip-build)

check: lint ## Format, lint, warnings, leftovers
	$(SWIFT) build
	scripts/check-leftovers

lint: ## Check format and style
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Examples Fuzz Benchmarks

format: ## Format everything in place
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests Examples Fuzz Benchmarks

test-thread: packages-test ## Run the tests under ThreadSanitizer
	$(call run_tests,$(SWIFT) test --scratch-path .build-thread --sanitize=thread -Xswiftc -DVHDFS_TSAN)

test-address: packages-test ## Run the tests under AddressSanitizer
	@# The leak checker does not see references that Swift packs into an object's header, and XCTest itself leaks.
	$(call run_tests,ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test --scratch-path .build-address --sanitize=address)

fuzz: packages-build ## Look for inputs that break a promise: FUZZ_TARGETS="vhd udf", FUZZ_SECONDS=60 for each
	@SWIFT="$(SWIFT)" scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

damage: packages-test ## Damage volumes of all kinds at random, look at all of each: DAMAGE_ROUNDS=200 of each kind
	VHDFS_TEST_SEEDS=$(DAMAGE_ROUNDS) $(SWIFT) test --filter 'VolumeSafetyMountTests/damage'

powercut: packages-test ## Cut the power under mounted disks: POWERCUT_STATES=100000 states of the image, a quarter for each kind of disk
	VHDFS_POWERCUT_STATES=$$(($(POWERCUT_STATES) / 4)) $(LONG_TEST) --filter PowerCutTests

kill: packages-test ## Kill the daemon under load and mount again: KILL_ROUNDS=200
	VHDFS_TEST_SEEDS=$(KILL_ROUNDS) $(LONG_TEST) --filter KillMountTests

soak: packages-test ## 64 images under 32 clients that attach, read, write, are interrupted and killed: SOAK_SECONDS=3600, SANITIZE=thread or address
	VHDFS_SOAK_SECONDS=$(SOAK_SECONDS) $(LONG_TEST) --filter 'LoadMountTests'

clean: ## Remove what was built
	rm -rf .build .build-optimized* .build-thread .build-address .build-fuzz
