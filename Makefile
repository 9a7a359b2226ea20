# Everything a person or CI does here. `make help` lists it. Safe to repeat: what is done is skipped.

PYTHON ?= python3
LAB_ARGS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
SITE := docs/_build/html
SERVED := http://127.0.0.1:8765
STATIC := widgets/glasshead/static
BUNDLE := $(STATIC)/attention_lines.js
BUNDLE_SOURCES := $(shell find js -type f 2>/dev/null) package.json tsconfig.json
# The bundle is built by its own rule below, so installing need not run npm once more.
INSTALL := SKIP_JUPYTER_BUILDER=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt
# A browser opens by itself only where there is a screen; JupyterLab prints its address anyway.
HEADLESS = $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname))),,--no-browser)
ROOT_USER = $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help demo serve-demo test lint check-python check-js test-js test-python test-versions versions gallery \
  pictures docs docs-serve layers-page site architectures build clean chromium
.DELETE_ON_ERROR:

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: PYTHON (now $(PYTHON)), LAB_ARGS (for demo), PYTEST_ARGS (for test)"

demo: $(VENV)/.demo $(BUNDLE) ## open the quickstart notebook in JupyterLab
	$(BIN)/jupyter lab $(HEADLESS) $(ROOT_USER) --LabApp.default_url=/lab/tree/quickstart.ipynb \
	  $(LAB_ARGS) examples/quickstart.ipynb

serve-demo: $(VENV)/.serve $(BUNDLE) ## serve the demo model, open a notebook that looks into it
	@$(BIN)/glasshead serve demo & server=$$!; trap 'kill $$server 2>/dev/null; wait $$server' EXIT INT TERM; \
	  until $(BIN)/python -c 'import urllib.request as r; r.urlopen("$(SERVED)/v1/hello")' 2>/dev/null; \
	    do kill -0 $$server || exit 1; sleep 1; done; \
	  $(BIN)/jupyter lab $(HEADLESS) $(ROOT_USER) --LabApp.default_url=/lab/tree/one-model-for-a-class.ipynb \
	  $(LAB_ARGS) examples/one-model-for-a-class.ipynb

test: lint test-js test-python test-versions ## run all checks and tests, browser included

lint: check-python check-js ## ruff, pyright, biome, tsc

check-python: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

check-js: node_modules/.installed
	npm run --silent check

test-js: node_modules/.installed
	npm test --silent

test-python: $(VENV)/.dev $(BUNDLE) chromium
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-versions: $(VENV)/.dev $(BUNDLE)
	$(BIN)/python scripts/versions.py --check

versions: $(VENV)/.dev $(BUNDLE) ## test on other versions of transformers and widgets: docs/versions.md
	$(BIN)/python scripts/versions.py

gallery: $(VENV)/.dev $(BUNDLE) ## build the page that shows every view in its named states
	$(BIN)/python gallery/record.py
	npm run --silent gallery

pictures: $(VENV)/.dev node_modules/.installed chromium ## take how the views look now as right: gallery/looks
	test ! -e .models/smollm2-135m-instruct || $(BIN)/python gallery/real.py
	PYTHONPATH=tests $(BIN)/python gallery/looks.py --renew

docs: layers-page site ## build the documentation: docs/_build/html (and docs/architecture.md anew)

docs-serve: docs ## show the documentation on this machine: port 8765
	$(BIN)/python -m http.server 8765 --bind 127.0.0.1 --directory $(SITE)

layers-page: $(VENV)/.dev
	$(BIN)/python scripts/house.py

# A warning is an error, and so is a reference that leads nowhere.
site: $(VENV)/.dev node_modules/.installed $(BUNDLE)
	$(BIN)/python docs/gallery.py
	$(BIN)/python docs/lessons.py
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -b html docs $(SITE)

architectures: $(VENV)/.dev ## compare attention of every architecture with eager: docs/architectures.md
	$(BIN)/python scripts/architectures.py

# By the versions in constraints.txt: the same sources make the same bytes on any machine.
build: $(VENV)/.dev node_modules/.installed ## build the wheel and the sdist into dist/
	rm -rf dist $(STATIC)
	npm run --silent build
	$(BIN)/python -m build --no-isolation

clean: ## remove what was built (the environments stay)
	rm -rf dist build $(STATIC) gallery/recorded gallery/dist docs/_build docs/_live docs/lessons/[0-9]*.md .artifacts
	rm -rf .pytest_cache .ruff_cache .hypothesis

chromium:
	@scripts/ensure_chromium.sh

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.10 or newer, or say PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Glasshead needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) -V)."; \
	  echo "Say which to use: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments."; \
	  echo "Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.torch: $(VENV)/.created
	@echo "Installing torch (a large download the first time) …"
	$(INSTALL) $(TORCH)
	@touch $@

# The bundle comes first: an editable install checks that it is there.
$(VENV)/.demo: $(VENV)/.torch pyproject.toml constraints.txt | $(BUNDLE)
	$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.serve: $(VENV)/.torch pyproject.toml constraints.txt | $(BUNDLE)
	$(INSTALL) --editable '.[demo,serve]'
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml constraints.txt | $(BUNDLE)
	$(INSTALL) --editable '.[dev,docs,hosts]'
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { \
	  echo "Building the front end needs Node.js 20 or newer with npm, which were not found."; \
	  echo "Debian and Ubuntu: sudo apt-get install nodejs npm"; exit 1; }
	npm ci
	@touch $@

$(BUNDLE): node_modules/.installed $(BUNDLE_SOURCES)
	npm run --silent build
	@touch $@
