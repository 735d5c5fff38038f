# What can be made; `make` alone lists it.

# Tests run as root, for network namespaces. Cargo itself, and so all it writes, stays yours.
ifneq ($(shell id -u),0)
SUDO := sudo
AS_ROOT := --config "target.'cfg(unix)'.runner = ['sudo', '-E']"
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-mend redact-all sos-all bench bench-lab bench-bundle bench-capture bench-correlate bench-db bench-pages selftest score docs readme install-deps

help: ## Lists what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Builds a small cloud, breaks it, diagnoses it, heals it, removes it
	scripts/packages.sh demo
	scripts/modules.sh
	cargo build --release --locked -p hopline
	scripts/demo.sh

test: install-deps ## Runs every test, also those that need root and network namespaces
	scripts/test.sh $(AS_ROOT)

test-mend: install-deps ## Proves db --apply: 1,000 interleavings with nova and 200 kills, on each of three databases
	HOPLINE_MEND_ROUNDS=1000 cargo test --release --locked -p novadb --test mend --test mend_together $(AS_ROOT)
	HOPLINE_MEND_KILLS=200 cargo test --release --locked -p hopline --test cli_db_kills $(AS_ROOT) -- --nocapture

bench: install-deps ## Measures the snapshot and the walk, beside the tools an operator would type
	cargo bench --workspace --locked --benches $(AS_ROOT)
	cargo build --release --locked -p hopline
	$(SUDO) scripts/bench.py

bench-lab: install-deps ## Measures how long a lab takes to come, to be looked after, and to go
	cargo build --release --locked -p hopline
	$(SUDO) scripts/bench_lab.py

bench-bundle: install-deps ## Measures a bundle of a host with 1,000 instances: collected, read, redacted, one diagnosed
	cargo build --release --locked -p hopline
	cargo build --release --locked -p bundle --example synthetic
	$(SUDO) scripts/bench_bundle.py

bench-capture: install-deps ## Measures a capture beside tcpdump: CPU a packet, drops, memory
	cargo build --release --locked -p hopline
	cargo build --release --locked -p capture --example flood
	$(SUDO) scripts/bench_capture.py

selftest: install-deps ## Holds the prediction to this kernel: 20,000 clouds over ten seeds
	cargo build --release --locked -p hopline
	$(SUDO) scripts/selftest.sh

score: install-deps ## Takes the score: every fault made, diagnosed and healed, in every cloud (docs/score.md)
	cargo build --release --locked -p hopline -p score
	$(SUDO) target/release/score

redact-all: ## Holds the diagnosis of redacted bundles to that of plain ones, with every fault of the lab
	HOPLINE_REDACT=all cargo test --locked $(AS_ROOT) -p hopline --test e2e_redact

sos-all: install-deps ## Holds what sosreports tell to what is told live, with every fault of the lab
	HOPLINE_SOS=all cargo test --locked $(AS_ROOT) -p hopline --test e2e_sosreport what_is_broken_is_told

bench-correlate: ## Measures hopline correlate on generated captures, beside tshark and a hash join in C
	scripts/packages.sh bench-correlate
	cargo build --release --locked -p hopline
	cargo build --release --locked -p correlate --example captures
	scripts/bench_correlate.py

bench-db: install-deps ## Measures hopline db check on a cloud of a million fixed IPs, beside statements by hand
	cargo build --release --locked -p hopline
	$(SUDO) scripts/bench_db.py

bench-pages: install-deps ## Measures how a page of 10,000 journeys is written and opened; fails where it is too large or slow
	cargo bench --locked -p report --bench pages

docs: ## Writes docs/findings anew, a page a finding
	HOPLINE_DOCS=write cargo test --locked -p hopline --test docs

readme: ## Writes the diagnosis and the pictures that README.md shows anew, from the real program
	cargo build --release --locked -p hopline
	scripts/excerpt.sh

install-deps: ## Installs the Debian packages that the tests use, where they are missing
	scripts/packages.sh test
	scripts/machines.sh
	scripts/modules.sh
