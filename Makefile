# fxcost for people: every target sets up what it needs. The builds themselves are CMake's (CMakePresets.json).
#
#   make demo        set up, build, and print what three models cost
#   make test        set up, build, and run every test (under 20 minutes from nothing)
#   make check-all   the long acceptance runs and all timings; writes docs/results.md
#   make lint        format and style only
#   make fuzz        five minutes of fuzzing on each reader and on the rules
#   make docs        write the generated documents again

SHELL := /bin/bash
VENV ?= .venv
PYTHON := $(VENV)/bin/python
FXCOST := $(VENV)/bin/fxcost
STAMP := $(VENV)/.fxcost
SOURCES := $(shell find ir passes backends cli include cmake export -type f -not -name '*.pyc' 2>/dev/null) CMakeLists.txt pyproject.toml

export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help demo test check-all lint format fuzz docs clean c-tests tsan gcc python-tests install-tests

help:
	@sed -n 's/^#   //p' Makefile

# ---- set-up ----------------------------------------------------------------------------------------------------------

$(STAMP)-run: cmake/setup.sh pyproject.toml
	cmake/setup.sh run $(VENV)
	@touch $@

$(STAMP)-test: cmake/setup.sh pyproject.toml $(STAMP)-run
	cmake/setup.sh test $(VENV)
	@touch $@

$(STAMP)-installed: $(STAMP)-run $(SOURCES)
	$(PYTHON) -m pip install --quiet --no-deps --force-reinstall .
	@touch $@

# ---- what it is for --------------------------------------------------------------------------------------------------

demo: $(STAMP)-installed
	$(FXCOST) examples/toy.py
	$(FXCOST) hf:bert --batch 1 --seq 128 --depth 3
	$(FXCOST) hf:resnet --batch 1 --image 224 --depth 3

# ---- tests -----------------------------------------------------------------------------------------------------------

test: lint c-tests tsan gcc python-tests install-tests
	@echo "all tests passed"

lint: $(STAMP)-test
	$(VENV)/bin/ruff check export tests examples bench
	$(VENV)/bin/ruff format --check export tests examples bench
	$(VENV)/bin/mypy
	find ir passes backends cli include tests -name '*.[ch]' -o -name '*.cc' | xargs clang-format-19 --dry-run -Werror

format:
	$(VENV)/bin/ruff check --fix export tests examples bench
	$(VENV)/bin/ruff format export tests examples bench
	find ir passes backends cli include tests -name '*.[ch]' -o -name '*.cc' | xargs clang-format-19 -i

c-tests: $(STAMP)-test
	cmake --workflow --preset test

tsan: $(STAMP)-test
	cmake --preset tsan && cmake --build --preset tsan --target test_threads && build/tsan/test_threads

gcc: $(STAMP)-test
	cmake --preset gcc -DFXC_TESTS=OFF && cmake --build --preset gcc

# Environments of the counters that fxcost is compared with; their tests say so where one could not be installed.
$(STAMP)-peers: $(STAMP)-test tests/peers/setup.sh tests/peers/environments.txt
	-tests/peers/setup.sh $(VENV) build/peers common ultralytics
	@touch $@

python-tests: $(STAMP)-test $(STAMP)-installed $(STAMP)-peers
	$(PYTHON) -m pytest tests/python

install-tests: $(STAMP)-test $(STAMP)-installed
	tests/install/run.sh $(VENV)

check-all: $(STAMP)-test $(STAMP)-installed
	$(PYTHON) bench/check_all.py --write docs/results.md

fuzz: $(STAMP)-test
	tests/fuzz/run.sh 300

docs: $(STAMP)-installed
	$(PYTHON) docs/generate.py

clean:
	rm -rf build $(STAMP)-installed
