# Sluice: `make demo` and `make test` do everything on a fresh machine, system packages included.

SWIFT_FILES := Package.swift Sources Tests Examples/Package.swift Examples/StreamText Examples/WriteValue

.PHONY: help setup model assets-models demo server check-openapi test-replicas test-sealing check-deploy test test-arm64 test-training example lint format release clean

help:
	@echo "make demo [TEXT=FILE]  build, fetch the default model, stream a text far past its trained length, plot"
	@echo "make server            build 'sluice serve'"
	@echo "make model             fetch the default model"
	@echo "make test              lint, unit tests, and the example built against this version of the package"
	@echo "make check-openapi     hold the server against its OpenAPI description (schemathesis)"
	@echo "make test-replicas     kill servers behind nginx in the middle of conversations"
	@echo "make test-sealing      sealed sessions with AES-GCM, in a build of its own (fetches swift-crypto)"
	@echo "make check-deploy      check the files in deploy/"
	@echo "make test-arm64        the ARM64 kernels alone, under emulation"
	@echo "make test-training     the suite of Training/, in an environment of its own (installs PyTorch)"
	@echo "make example           build and run Examples/StreamText from the working tree"
	@echo "make format            format every Swift file in place"
	@echo "make lint              check formatting and style, change nothing"
	@echo "make release           one static, stripped command in .build/dist/sluice"
	@echo "make clean             remove everything that was built"

setup:
	@Scripts/setup

ASSETS := $(or $(SLUICE_ASSETS),../shared/assets)

# Checkpoints of the assets, where this machine has them, in the form that ModelsTests reads.
assets-models: setup
	@if [ -d $(ASSETS)/models ]; then python3 Scripts/convert-llama2c.py --all $(ASSETS)/models .build-converted; fi

model: setup
	@Scripts/fetch-model

demo: setup
	swift build -c release --product sluice
	Scripts/fetch-model
	.build/release/sluice demo $(TEXT)
	@echo "talk to it: 'make server', then '.build/release/sluice serve', then open http://127.0.0.1:8080"

server: setup
	swift build -c release --product sluice-serve
	swift build -c release --product sluice
	@echo "start it with '.build/release/sluice serve', then open http://127.0.0.1:8080"

test: setup lint assets-models
	Scripts/install-clients
	Scripts/install-chromium
	Scripts/install-redis
	swift build --build-tests
	swift test --skip-build --disable-xctest
	SLUICE_PAGE_TESTS=1 swift test --skip-build --disable-xctest --filter PageTests
	Scripts/test-arm64
	Scripts/consumer-test

check-openapi: setup
	Scripts/check-openapi

test-replicas: server
	Scripts/test-replicas

# Not part of 'make test': it compiles everything once more.
test-sealing: setup
	Scripts/test-sealing

check-deploy:
	Scripts/check-deploy

# The ARM64 kernels under emulation.
test-arm64: setup
	Scripts/test-arm64

# Not part of 'make test': PyTorch takes longer to install than its suite to run.
test-training:
	$(MAKE) -C Training setup test

example: setup
	swift run --package-path Examples StreamText

lint: setup
	swift format lint --recursive --strict --parallel $(SWIFT_FILES)
	@for script in $$(grep -l '^#!/bin/sh' Scripts/*); do sh -n $$script || exit 1; done

format: setup
	swift format format --in-place --recursive --parallel $(SWIFT_FILES)

release: setup
	swift build -c release --product sluice --static-swift-stdlib
	mkdir -p .build/dist
	strip -o .build/dist/sluice .build/release/sluice
	@ls -l .build/dist/sluice

clean:
	rm -rf .build Examples/.build
