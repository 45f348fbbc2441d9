# Melon's commands for people who build it. `make` alone lists them.
#
#   make run        build Melon and show it at work on the provider in a box
#   make test       install what the tests need, then run every test
#   make lint       gofmt, vet, staticcheck, govulncheck
#   make cross      build for linux, darwin and windows, amd64 and arm64
#   make bench      figures beside what a person would run instead
#   make panel      pictures of the tray in a real panel, into bin/pictures
#   make wine       the Windows programs under Wine
#   make fuzz       every fuzz target for FUZZTIME each (default 1m)
#   make packages   everything that a release has, into dist/
#   make check-packages  look at it with lintian, rpm and 7z
#   make reproducible    build the commit twice and compare
#   make install-test    install, use, upgrade and remove the .deb in a clean Debian (root)
#   make crash      kill it CRASH_KILLS times (200) under load, count the messages
#   make chaos      everything goes wrong for DURATION (10m); a ledger must balance
#   make soak       steady traffic for DURATION (10m); nothing may grow

GO       ?= go
FUZZTIME ?= 1m

# Tests that need more than Go carry one of these build tags.
TAGS := realmail desktop

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: help run build test unit integration packages-for-tests lint cross bench fuzz panel wine

help:
	@sed -n 's/^#  *make/  make/p' Makefile

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/melon ./cmd/melon

run: build
	./bin/melon demo

test: packages-for-tests unit integration

packages-for-tests:
	.ci/packages

unit:
	$(GO) vet ./...
	$(GO) test -race -shuffle=on ./...

integration:
	$(GO) vet -tags "$(TAGS)" ./...
	$(GO) test -shuffle=on -tags "$(TAGS)" $$(grep -rlE '^//go:build .*(realmail|desktop)' --include='*_test.go' . | xargs -n1 dirname | sort -u)

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt: the files above are not formatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	.ci/dependencies
	.ci/vulncheck $(GOVULNCHECK)

cross:
	.ci/cross

bench:
	$(GO) run ./packaging/bench

panel:
	.ci/panel bin/pictures

wine:
	.ci/wine

fuzz:
	.ci/fuzz $(FUZZTIME)

.PHONY: crash chaos soak

CRASH_KILLS ?= 200
DURATION    ?= 10m

# The long runs of proxy/chaos; SEED= repeats one.
LONG = MELON_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v ./proxy/chaos

crash:
	CRASH_KILLS=$(CRASH_KILLS) $(LONG) -tags crash -run '^TestCrash$$'

chaos:
	DURATION=$(DURATION) $(LONG) -tags chaos -run '^TestChaos$$'

soak:
	DURATION=$(DURATION) $(LONG) -tags soak -run '^TestSoak$$'

.PHONY: packages check-packages reproducible install-test

packages:
	$(GO) run ./packaging/release -out dist

check-packages:
	packaging/check dist

reproducible:
	packaging/reproducible

install-test:
	packaging/linux/install-test dist
