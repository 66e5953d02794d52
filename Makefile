# SPDX-License-Identifier: Apache-2.0
#
# The commands of the house. Each one installs first what it needs (scripts/setup), and shows
# every command it runs.

SHELL := /bin/bash
CARGO ?= cargo
# Software decoders that are off unless asked for.
OPTIONAL_CODECS := vs-codec/software-h265,vs-codec/software-vp9

.DEFAULT_GOAL := help
.PHONY: help demo build gst install test python-test guest-test players lint bench bench-gst fuzz soak

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	scripts/install

test: ## run every test, those in the guest included
	scripts/setup build test python gst guest
	$(CARGO) test --workspace
	$(CARGO) test --workspace --features $(OPTIONAL_CODECS) --test 'decoding_*'
	scripts/python-package
	.build/python/bin/pytest libvsclient/python
	scripts/tutorial
	tests/guest/test

python-test: ## build the Python package and run its tests
	scripts/setup build test python
	$(CARGO) build --package videostreamd
	scripts/python-package
	.build/python/bin/pytest libvsclient/python

guest-test: ## run the tests against real kernel drivers, in a virtual machine, each as often as promised
	scripts/setup build test guest
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
