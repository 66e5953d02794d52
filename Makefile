# SPDX-License-Identifier: Apache-2.0
#
# The commands of the house. Each one installs first what it needs (scripts/setup), and shows
# every command it runs.

SHELL := /bin/bash
CARGO ?= cargo
# Software decoders that are off unless asked for.
OPTIONAL_CODECS := vs-codec/software-h265,vs-codec/software-vp9
# Of what kind the packages of make deb are, and what cargo makes for them.
ARCH ?= amd64
CROSS := $(if $(filter arm64,$(ARCH)),scripts/aarch64)
# Below scripts/aarch64 it is Debian's, whatever CARGO says.
DEB_CARGO = $(if $(CROSS),cargo,$(CARGO))
PACKED := $(addprefix --package ,videostreamd vsctl libvsclient-c libvsclient-python gst-videostream)
# What is tested in emulation, beside the daemon and its command line: what computes, and what is written to others.
EMULATED := $(addprefix --package ,vs-bitstream vs-convert vs-frame vs-ipc vs-mux vs-pattern libvsclient)

.DEFAULT_GOAL := help
.PHONY: help demo build gst install deb aarch64 test python-test guest-test players lint bench bench-gst fuzz soak

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## two pattern cameras, a reader and a recording, in a minute
	scripts/demo

build: ## build the daemon, the command line, the libraries and the examples
	scripts/setup build
	$(CARGO) build --workspace --exclude gst-videostream --lib --bins --examples

gst: ## build the GStreamer elements vslsink and vslsrc, in target/release/libgstvideostream.so
	scripts/setup build gst
	$(CARGO) build --release --package gst-videostream

install: ## build for products and install, GStreamer elements too if make gst has built them (DESTDIR, PREFIX: scripts/install)
	scripts/setup build
	$(CARGO) build --release --package videostreamd --package vsctl --package libvsclient-c
	$(CARGO) build --release --package videostreamd --example manual
	scripts/install

deb: ## make Debian packages in target/deb/ARCH, for ARCH=amd64 (this machine's) or arm64 (MAINTAINER, VERSION: scripts/deb)
	scripts/setup build gst deb $(if $(CROSS),aarch64)
	$(CROSS) $(DEB_CARGO) build --locked --release $(PACKED)
	$(CROSS) $(DEB_CARGO) build --locked --release --package videostreamd --example manual
	scripts/deb $(ARCH)

aarch64: ## cross-build everything for aarch64, and run in emulation the tests that need no devices
	scripts/setup build gst test aarch64
	scripts/aarch64 cargo build --locked $(PACKED)
	scripts/aarch64 cargo build --locked --package videostreamd --example manual
	scripts/aarch64 cargo test --locked --lib $(EMULATED)
	scripts/aarch64 tests/packages/emulated

test: ## run every test, those in the guest included
	scripts/setup build test python gst deb guest
	$(CARGO) test --workspace
	$(CARGO) test --workspace --features $(OPTIONAL_CODECS) --test 'decoding_*'
	scripts/python-package
	.build/python/bin/pytest libvsclient/python
	scripts/tutorial
	tests/packages/test
	tests/guest/test

python-test: ## build the Python package and run its tests
	scripts/setup build test python
	$(CARGO) build --package videostreamd
	scripts/python-package
	.build/python/bin/pytest libvsclient/python

guest-test: ## run the tests against real kernel drivers, in a virtual machine, each as often as promised
	scripts/setup build test gst deb guest
	GUEST_THOROUGH=1 tests/guest/test

players: ## let a browser and GStreamer play recordings and seek in them (downloads a browser)
	scripts/setup build test players
	$(CARGO) build --package videostreamd --package vsctl
	$(CARGO) test --package system-tests --test players -- --nocapture

lint: ## check format, clippy, documentation, scripts and licence lines
	scripts/setup build gst lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --package vs-codec --features $(OPTIONAL_CODECS) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	scripts/lint-scripts
	scripts/lint-licence

bench: ## measure the data plane beside its physical limit
	scripts/setup build test python
	$(CARGO) build --release --package videostreamd --package vsctl --package bench
	$(CARGO) build --release --package libvsclient --example checksum
	scripts/c-library --release
	cc -O2 -o .build/c/checksum libvsclient/c/examples/checksum.c -I.build/c/include -L.build/c/lib -lvsclient -Wl,-rpath,$(CURDIR)/.build/c/lib
	scripts/python-package --release
	$(CARGO) run --release --package bench

bench-gst: ## measure vslsink and vslsrc beside GStreamer's own elements of that kind
	scripts/setup build gst
	$(CARGO) run --release --package gst-videostream --example compare

fuzz: ## fuzz every parser of foreign bytes, FUZZ_SECONDS each (60)
	scripts/setup build fuzz
	scripts/fuzz

soak: ## attack the daemon for some minutes: 10,000 clients and 200 recorders killed, 1,000,000 frames looked at
	scripts/setup build test
	$(CARGO) build --release --package videostreamd --package vsctl
	VIDEOSTREAM_SOAK=1 $(CARGO) test --release --package system-tests --test chaos -- --nocapture
