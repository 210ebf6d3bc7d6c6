# SPDX-License-Identifier: BSD-2-Clause
#
# The front door. On a fresh Debian 12, as root or with sudo, each target installs what it needs.
#
#   make demo         boot real Xen under QEMU and watch a guest use a disk of ours
#   make check        all tests, unit to real Xen
#   make check-fast   unit tests and a few on the simulator, in less than a minute
#   make check-sim    all on the simulator
#   make build        the daemon, in build/release
#   make install      into PREFIX (/usr/local), DESTDIR is honoured
#   make deb          a Debian package, in build/deb
#   make check-deb    it is installed, upgraded and purged in a clean root
#   make lab [S=...]  a scenario of tests/xen/scenarios, or a shell in dom0
#   make fuzz-smoke   each fuzzer for a minute, or FUZZ_SECONDS=N
#   make bench [W=...] measurements, into build/bench.json; W=native: those that need no Xen
#   make bench-compare A=FILE B=FILE   two such files, as ratios

PREFIX ?= /usr/local
B      := build/release

.PHONY: build deps check check-fast check-sim demo lab fuzz-smoke bench bench-compare install deb check-deb clean
.NOTPARALLEL:

build: $(B)/build.ninja
	ninja -C $(B)

deps:
	@tests/deps build

$(B)/build.ninja: | deps
	meson setup --prefix $(PREFIX) $(B)

check: build
	tests/check all

check-fast: build
	tests/check fast

check-sim: build
	tests/check sim

demo: build
	tests/xen/lab demo

lab: build
	tests/xen/lab $(if $(S),run $(S),shell)

fuzz-smoke:
	@tests/deps build check
	fuzz/run $(or $(FUZZ_SECONDS),60)

bench: build
	bench/run $(or $(W),all)

bench-compare:
	@bench/compare "$(A)" "$(B)"

install: build
	meson configure $(B) -Dprefix=$(PREFIX)
	meson install -C $(B)

deb: deps
	@tests/deps deb
	packaging/deb

check-deb: deb
	tests/package.sh

clean:
	rm -rf build/release build/asan build/tsan build/clang build/fuzz build/fuzz-coverage build/deb build/package*
