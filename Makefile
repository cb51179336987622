# The verbs of this project. Everything else is a Go command.
MODULES := $(dir $(shell git ls-files '*go.mod'))
GOBIN   := $(shell go env GOPATH)/bin

.PHONY: test lint bench e2e mutants fuzz api race-long servers

# Every module in the workspace, the root once more on its own; packages with
# servers and browsers one by one. Set REQUIRE=all to make a missing server a
# failure instead of a skip.
test: servers
	@set -e; for m in $(MODULES); do echo "== $$m"; p=; [ $$m != internal/e2e/ ] || p="-p 1"; \
		(cd $$m && go vet ./... && go test -race $$p -timeout 30m ./...); done
	@echo "== ./ without the workspace"; GOWORK=off go test ./...

# Real servers that the tests use, installed where that is allowed.
servers:
	@scripts/servers

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	@test -x $(GOBIN)/golangci-lint || go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && $(GOBIN)/golangci-lint run --allow-parallel-runners -c $(CURDIR)/.golangci.yml ./...); done

bench:
	cd internal/bench && go run . -json results.json -svg results.svg -readme ../../README.md

e2e: servers
	cd internal/e2e && go test -race -count=1 -timeout 45m ./...

race-long: servers
	cd internal/e2e && TOKENVAULT_RACE=200 go test -race -count=1 -timeout 120m -run FleetRace ./vault

fuzz:
	scripts/fuzz 30s

mutants:
	scripts/mutants

api:
	scripts/api -write
