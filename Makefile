# Strongroom. `make help` says what there is.
SHELL := /bin/bash
export PATH := node_modules/.bin:$(PATH)

.PHONY: install gen check test
install: node_modules/.package-lock.json
node_modules/.package-lock.json: package-lock.json
	npm ci --no-fund --no-audit
gen: install
	buf generate
	buf build -o src/gen/descriptors.binpb
check: gen
	tsc -p .
	oxlint --type-aware src test
	prettier --check --log-level warn src test
	buf lint
test: gen
	node node_modules/vitest/vitest.mjs run
