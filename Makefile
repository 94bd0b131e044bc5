# Strongroom. `make help` says what there is.
SHELL := /bin/bash
# npm runs under the Node of the machine; all else under the one that npm brings.
export MACHINE_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
.DEFAULT_GOAL := help
DEV := node src/dev/main.ts
INSTALLED := { [ -x node_modules/.bin/node ] || { echo '✗ nothing is installed here yet; run: make up' >&2; exit 1; }; }
PROTO := $(wildcard proto/*/ proto/*/*/ proto/*/*/*/ proto/*/*/*.proto proto/*/*/*/*.proto)
SOURCES := $(wildcard src test bench)

.PHONY: help up demo down reset status logs verify-log install gen check breaking test bench import-demo drill clean

help: ## shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  STRONGROOM_PORT_BASE=9430 make up   uses other ports (8430 is the default: 8432 PostgreSQL, 8443 store, 8444 keys, 8445 audit)'

up: gen ## installs, generates, starts all in the background, and the first time does the main job
	@$(DEV) up
demo: gen ## does the main job again, on what runs
	@$(DEV) demo
down: ## stops all; the data stays
	@$(INSTALLED) && $(DEV) down
reset: ## stops all and wipes data and keys
	@$(INSTALLED) && $(DEV) reset
status: ## shows what runs and how it is
	@$(INSTALLED) && $(DEV) status
logs: ## shows the last lines of every log; FOLLOW=1 goes on
	@$(INSTALLED) && $(DEV) logs
verify-log: gen ## exports the audit log and has it verified by a program of others (needs Go); then flips bits, and shows that it finds them
	@$(DEV) verify-log

install: node_modules/.package-lock.json ## installs what package-lock.json says, if it has changed
node_modules/.package-lock.json: package-lock.json
	@export PATH="$$MACHINE_PATH"; \
	command -v npm > /dev/null || { echo '✗ npm is missing; install Node.js 20 or later with npm (https://nodejs.org)' >&2; exit 1; }; \
	major=$$(node -p 'process.versions.node.split(".")[0]' 2> /dev/null); \
	[ "$${major:-0}" -ge 20 ] || { echo "✗ Node.js $${major:-(none)} is too old; install 20 or later (https://nodejs.org)" >&2; exit 1; }; \
	echo 'installing packages, about half a minute ...'; \
	npm ci --no-fund --no-audit --loglevel=error > .npm-ci.log 2>&1 || { cat .npm-ci.log >&2; rm -f .npm-ci.log; echo '✗ npm ci failed' >&2; exit 1; }; \
	rm -f .npm-ci.log
	@node_modules/.bin/node --version > /dev/null 2>&1 && node_modules/.bin/buf --version > /dev/null 2>&1 || { rm -f $@; \
	echo '✗ npm ran no install scripts, so Node 24 and buf are missing; run: npm ci --ignore-scripts=false' >&2; exit 1; }
	@touch $@

gen: src/gen/.stamp ## generates code from proto/, if that has changed
src/gen/.stamp: $(PROTO) buf.yaml buf.gen.yaml node_modules/.package-lock.json
	@buf generate
	@buf build -o src/gen/descriptors.binpb
	@touch $@

check: gen breaking ## types, lint, format, protobuf rules
	tsc -p .
	oxlint --type-aware $(SOURCES)
	prettier --check --log-level warn $(SOURCES)
	buf lint
# Against the last commit of main; on main itself, so, against what is committed.
breaking: gen
	@base=$$( { git rev-parse --quiet --verify main || git rev-parse --quiet --verify HEAD; } 2> /dev/null) || { echo 'buf breaking: skipped, there is no git history here'; exit 0; }; \
	if [ "$$(git rev-parse --is-shallow-repository)" = true ]; then echo 'buf breaking: skipped, this clone is shallow'; exit 0; fi; \
	echo "buf breaking --against .git#ref=$$base"; \
	buf breaking --against ".git#ref=$$base"
test: gen ## all tests, on a stack of their own
	@node node_modules/vitest/vitest.mjs run $(ARGS)
bench: gen ## measures, on a stack of its own; BENCH=purge, revocation, rotation, audit, export or secrets measures that
	@node bench/$(or $(BENCH),main).ts $(ARGS)
import-demo: gen ## moves example secrets in from a dotenv file and a dump of Vault, twice, into what runs
	@$(DEV) import-demo
drill: gen ## purges, restores every backup in a scratch stack, and shows what comes back
	@node src/dev/drill/main.ts
clean: ## stops all and removes everything that was made: data, certificates, generated code, packages
	@if [ -x node_modules/.bin/node ]; then $(DEV) reset; fi
	rm -rf .dev certs-dev/out src/gen node_modules
