.PHONY: check test demo lint types layers unit sync
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
