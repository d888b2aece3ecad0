# Everything here sets itself up: Python 3.11 (with venv) and make are enough.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
CONFORMANCE := $(VENV)/conformance
ENGINE ?= docker build
BASE ?= debian:bookworm-slim
SOURCE ?=
AHASEND_OPENAPI ?= ../shared/ahasend/openapi.yaml
# How many processes share the tests: two a core, since many of them wait for processes of their own, and at most 16.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(16, 2 * (os.cpu_count() or 1)))')
SPREAD = -n $(WORKERS) --dist worksteal

# The tests start hundreds of processes: where no bytecode may be kept, each of them compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check units laws browser alerts campaign conformance image test-image bench pins schemas man reference golden pictures dist clean

demo: $(VENV)/.runtime
	@$(BIN)/python -m reconciler demo

test: check units laws browser alerts conformance

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

# Coverage is counted over units and stories alone: chance never decides a build.
units: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SPREAD) --ignore=tests/laws -m "not conformance and not browser and not promtool"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

laws: $(VENV)/.dev
	$(BIN)/python -m pytest $(SPREAD) tests/laws

# Chromium is not set up here: where there is none, the tests say so.
browser: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -m browser tests/browser

# Nor is Prometheus.
alerts: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -m promtool tests/observability

campaign: $(VENV)/.dev
	$(BIN)/python tests/campaign.py --seeds 1-5000

# Schemathesis is set up only where AhaSend's document is there to hold the emulator against; Prism is never set up here.
conformance: $(VENV)/.dev $(if $(wildcard $(AHASEND_OPENAPI)),$(CONFORMANCE)/.ready)
	@AHASEND_OPENAPI="$(AHASEND_OPENAPI)" $(BIN)/python -m pytest -q -m conformance tests/conformance

# ENGINE: docker build, podman build --format docker, or what else reads a Dockerfile.
image:
	@version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' reconciler/__init__.py) && epoch=$$(git log -1 --format=%ct) \
		&& $(ENGINE) -f deploy/Dockerfile -t "ahasend-key-reconciler:$$version" -t ahasend-key-reconciler \
			--build-arg BASE="$(BASE)" --build-arg VERSION="$$version" --build-arg SOURCE_DATE_EPOCH="$$epoch" \
			--build-arg REVISION="$$(git rev-parse HEAD)$$(test -z "$$(git status --porcelain)" || echo -modified)" --build-arg SOURCE="$(SOURCE)" \
			--build-arg CREATED="$$(date -u -d "@$$epoch" +%Y-%m-%dT%H:%M:%SZ)" .

# Builds the image twice with no engine, and runs what comes out: needs root, debootstrap and buildah, and takes minutes.
test-image: $(VENV)/.dev
	@$(BIN)/python tests/image.py

bench: $(VENV)/.dev
	$(BIN)/python bench/run.py

# Pins are for Python 3.11; they carry hashes and no index address.
pins: $(VENV)/.dev
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra notify --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra notify -c requirements/dev.txt -o requirements/image.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group build -c requirements/dev.txt -o requirements/build.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group conformance -o requirements/conformance.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group workflows -o requirements/workflows.txt

schemas: $(VENV)/.dev
	@for name in desired policy; do $(BIN)/reconciler schema $$name > config/schema/$$name.schema.json; done

man: $(VENV)/.dev
	$(BIN)/python tests/manual.py

# The pages of docs/reference; the others are written by hand.
reference: $(VENV)/.dev
	$(BIN)/python tests/reference.py

# Renders the rich reports of the tests anew, and the manifests of deploy/kubernetes (which needs kubectl, KUBECTL names
# another): look at what changed before it is committed.
golden: $(VENV)/.dev
	$(BIN)/python tests/golden.py
	$(BIN)/python tests/deploy/rendering.py

# Needs Chromium, xterm, Xvfb and ImageMagick.
pictures: $(VENV)/.dev
	$(BIN)/python tests/pictures.py

# Wheel, sdist, what they are made of, and their sums: the same files from the same commit, anywhere.
dist: $(VENV)/.dev
	@$(BIN)/python release/dist.py

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is needed; name another with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/bin/python
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "setting up $(VENV) for the checks (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

# A failure here is no reason for make to stop: the tests then say what did not run, and fail where it is required.
$(CONFORMANCE)/.ready: requirements/conformance.txt | $(VENV)/bin/python
	@echo "setting up $(CONFORMANCE) (once)"
	@$(PYTHON) -m venv $(CONFORMANCE) \
		&& $(CONFORMANCE)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/conformance.txt \
		&& touch $@ || rm -rf $(CONFORMANCE)

clean:
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
