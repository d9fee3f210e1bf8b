# Every target is a CI job, and can be run by hand. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

features := --features sim
target := $${CARGO_TARGET_DIR:-target}
nextest := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo yes)
ifeq ($(nextest),yes)
run_tests = cargo nextest run --locked $(features) --no-fail-fast
four_at_once = --test-threads 4
else
run_tests = cargo test --locked $(features) --no-fail-fast
four_at_once = -- --test-threads 4
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install what the demo and the tests need (Debian; root)
	@scripts/install-deps.sh

.PHONY: build
build: ## Build the release binary
	cargo build --release --locked --bin vpnd

.PHONY: demo
demo: ## Tunnels to a real strongSwan gateway on this machine, IKEv1 and then IKEv2 (root)
	@scripts/demo.sh

.PHONY: test
test: ## What CI runs: fmt, clippy, unit, ratios, interop, fuzz-smoke (root)
	@scripts/install-deps.sh
	@scripts/stages.sh fmt clippy unit ratios interop fuzz-smoke

.PHONY: lint
lint: fmt clippy ## Formatting and clippy

.PHONY: fmt
fmt: ## Check the formatting
	cargo fmt --all --check

.PHONY: clippy
clippy: ## Clippy with warnings as errors, for both feature sets
	cargo clippy --locked --all-targets $(features) -- -D warnings
	cargo clippy --locked --test interop $(features) -- -D warnings
	cargo clippy --locked --lib --no-default-features -- -D warnings

.PHONY: unit
unit: ## Unit tests, vectors, simulator, architecture, command line
	$(run_tests)

.PHONY: interop
interop: deps ## Against real strongSwan in network namespaces, with the table of suites and groups (root)
	@rm -f "$(target)"/tmp/matrix*.txt
	@status=0; $(run_tests) --test interop $(four_at_once) || status=$$?; \
	cat "$(target)/tmp/matrix.txt" "$(target)/tmp/matrix-ikev1.txt" || status=1; exit $$status

.PHONY: soak
soak: deps build ## Lifetimes of 20 s and a ping every 10 ms: none may be lost (SECONDS=600 VERSION=2; root)
	scripts/soak.sh $(or $(SECONDS),600) $(or $(VERSION),2)

.PHONY: flood
flood: deps ## Ten million hostile datagrams at a live tunnel: memory, kept packets, answers to strangers (VPND_FLOOD=10000000 UPDATE_DOCS=1; root)
	cargo test --locked --release $(features) --test interop -- --ignored --exact flood::ten_million --nocapture
	$(if $(UPDATE_DOCS),benches/reliability/figures.py block flood <"$(target)/tmp/flood.md")

.PHONY: nightly
nightly: ## What takes hours: 10,000 seeds, 30 days with 20 seeds, fuzzing for long, mutants (SEEDS=10000 MONTHS=20 SECONDS_EACH=600)
	VPND_SIM_SEEDS=$(or $(SEEDS),10000) VPND_SIM_MONTHS=$(or $(MONTHS),20) cargo test --release --locked $(features) --test sim -- stories:: --include-ignored
	SECONDS_EACH=$(or $(SECONDS_EACH),600) scripts/fuzz-smoke.sh
	@$(MAKE) --no-print-directory mutants

.PHONY: mutants
mutants: ## Change crypto, esp and parts of ike one thing at a time: which changes no test notices (PARTS=20 UPDATE_DOCS=1; needs cargo-mutants)
	scripts/mutants.py run --parts $(or $(PARTS),20)
	scripts/mutants.py report $(if $(UPDATE_DOCS),--update)

.PHONY: fuzz-smoke
fuzz-smoke: ## Every fuzz target from its corpus for a few seconds (SECONDS_EACH=10)
	scripts/fuzz-smoke.sh

.PHONY: fuzz
fuzz: ## One fuzz target until it fails or is stopped (TARGET=session)
	scripts/fuzz.sh $(TARGET)

.PHONY: phases
phases: deps build ## Handshake time by phase, vpnd's and strongSwan's client's, on one gateway (root)
	benches/end_to_end/handshake.sh

.PHONY: bench-e2e
bench-e2e: ## Tunnels in network namespaces, vpnd's and others', measured in turn (ROUNDS=3 SECONDS_EACH=1 ONLY=vpnd; root)
	@scripts/install-deps.sh bench
	@benches/end_to_end/peers.sh "$(target)/peers"
	cargo build --release --locked --bin vpnd --example plane
	@TARGET="$(target)" benches/end_to_end/run.py

.PHONY: reliability
reliability: deps ## Packets lost to rekeying and change, outages, bad roads, beside strongSwan's client (RUNS=50 ONLY=outage; root)
	cargo build --release --locked --bin vpnd --example reliability
	@TARGET="$(target)" benches/reliability/run.py

.PHONY: bench
bench: ## Criterion benches
	cargo bench --locked $(features)

.PHONY: ratios
ratios: ## How much faster batches are than single packets, as ratios of one run; fails below what is promised
	cargo bench --locked --no-default-features --bench batches

.PHONY: ipsec-mb
ipsec-mb: ## Every suite and backend beside Intel's library (Debian's libipsec-mb-dev)
	@mkdir -p "$(target)"
	cc -O2 -Wall -o "$(target)/ipsec-mb-beside" benches/ipsec_mb/beside.c -lIPSec_MB
	VPND_BESIDE=$$(realpath "$(target)/ipsec-mb-beside") cargo bench --locked --no-default-features --bench batches

.PHONY: deny
deny: ## Licences, bans and sources of the dependencies (needs cargo-deny)
	cargo deny --offline check licenses bans sources
