.PHONY: check test demo lint types layers unit component node e2e sync deps bench
UV := uv run --frozen

sync:
	@command -v uv >/dev/null || pip install -q uv
	@uv sync --frozen -q

check: sync lint types layers unit

lint:
	$(UV) ruff format --check .
	$(UV) ruff check .

types:
	$(UV) mypy

layers:
	$(UV) lint-imports

unit:
	$(UV) pytest -q tests/unit

deps:
	scripts/install-dependencies --tests

# Everything, on a fresh Debian 12 as root: installs what it needs first.
test: deps lint types layers
	$(UV) pytest tests

component:
	$(UV) pytest tests/component

node:
	$(UV) pytest tests/node

e2e:
	$(UV) pytest tests/e2e

demo:
	scripts/install-dependencies
	scripts/demo

.PHONY: proto
proto: # regenerates the gRPC messages from our own .proto files
	cd src && $(UV) python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. $$(cd . && find kobune -name '*.proto')
