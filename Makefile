# Two commands do everything on a fresh machine: `make book` and `make test`.
PYTHON  ?= python3
VENV    ?= .venv
PROFILE ?= book#   smoke: seconds a chapter; book: minutes on two cores; full: a GPU
SEED    ?= 0
JOBS    ?= 0#      chapters run side by side; 0 means one a core
PARAMS  ?=#        further papermill parameters, e.g. PARAMS="patients=40 epochs=3"
RESULTS ?=#        which results to make, e.g. RESULTS="table1 cheng"; default all
PORT    ?= 8000
PYTEST  ?=#        more for pytest, e.g. PYTEST="-k ledger"
UVFLAGS ?=#        more for uv, e.g. UVFLAGS=--torch-backend=cpu for CPU-only torch on Linux

B    := $(VENV)/bin
BOOK := $(B)/python -m book_tools
# uv does not read pip's settings; hand it pip's own find-links, where there are any.
UV   := $(B)/uv pip install -q --python $(B)/python $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} $(UVFLAGS)

.PHONY: help setup book test lint bench results serve gpu check-gpu colab links clean set-repo constraints
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ok  ## make .venv with everything the book and the tests need

$(VENV)/.ok: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no '$(PYTHON)' on PATH; install Python 3.11.5 or newer, or name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) book_tools/machine.py
	@test -x $(B)/python || $(PYTHON) -m venv $(VENV)
	@$(B)/python -m pip install -q --disable-pip-version-check "uv>=0.5"
	@$(UV) --compile-bytecode -e ".[book,dev,scale]" -c constraints.txt
	@touch $@

book: $(VENV)/.ok  ## execute the chapters and render the book
	@$(BOOK) build --profile "$(strip $(PROFILE))" --seed "$(strip $(SEED))" --jobs "$(strip $(JOBS))" $(PARAMS:%=--param %)

test: $(VENV)/.ok lint  ## lint, unit tests, every chapter in smoke profile, every page in a browser
	@$(B)/python -m pytest -n auto --dist loadgroup $(PYTEST)

lint: $(VENV)/.ok  ## ruff (notebooks too), mypy, import-linter
	@$(B)/ruff check .
	@$(B)/ruff format --check .
	@$(B)/mypy
	@$(B)/lint-imports --no-logo

bench: $(VENV)/.ok  ## ratios against plain training and other libraries
	@$(B)/python -m benchmarks

serve: $(VENV)/.ok  ## serve the built book on this machine and print its address
	@$(BOOK) serve --port $(PORT)

results: $(VENV)/.ok  ## run the experiments and stamp what they found (hours; goes on where it stopped)
	@$(B)/python -m data_scripts.results --jobs "$(strip $(JOBS))" $(RESULTS)

gpu: $(VENV)/.ok  ## on a CUDA device: its tests, times, torchrun and the full book; one report
	@$(B)/python -m benchmarks.gpu

check-gpu: $(VENV)/.ok  ## fail unless torch sees a CUDA device
	@$(B)/python -c "import sys, torch; sys.exit(None if torch.cuda.is_available() else 'no CUDA device')"

colab:  ## run each chapter alone, as Colab would, with PYTHON=...
	@$(PYTHON) .ci/chapters_alone.py book/explore.ipynb book/[0-9]*.ipynb

links: $(VENV)/.ok  ## ask every address outside the book whether it still answers
	@$(BOOK) links --profile "$(strip $(PROFILE))"

clean:  ## remove what was built (the virtual environment stays)
	rm -rf _build

set-repo: $(VENV)/.ok  ## URL=https://github.com/you/yours: rewrite the repository address everywhere
	@$(BOOK) set-repo "$(URL)"

constraints: $(VENV)/.ok  ## bring the tested versions in line with pyproject.toml (newest: UVFLAGS=--upgrade)
	@$(B)/uv pip compile -q pyproject.toml --all-extras --no-header --no-annotate \
	    $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} $(UVFLAGS) -o constraints.txt
	@sed -i.bak 's/+[a-z0-9]*$$//' constraints.txt && rm constraints.txt.bak
