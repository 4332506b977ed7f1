# Everything runs in .venv, which the first command makes. Nothing asks a question or needs an account.
#   PYTHON=/path/to/python3.12 chooses the Python, VENV=/path/to/folder another place for the environment.

VENV ?= .venv
BIN = $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

# A copy of the notebooks and the sample to run in: they train anew, and what you made in runs/ stays as it is.
fresh_copy = rm -rf $(1) && mkdir -p $(1)/notebooks && cp $(2) $(1)/notebooks && cp -R dataset $(1)/dataset

run_tests = $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: help demo test quick tpu newest env notebooks docs pins exports originals lint clean

help:  ## Say what each command does
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r command what; do \
	  printf '%-16s %s\n' "  $$command" "$$what"; done

demo: env  ## Check, train on, evaluate and export the sample in the notebooks; pictures and results in demo/
	@$(call fresh_copy,demo,$(filter-out %_compare.ipynb %_machines.ipynb %_checkpoint.ipynb,$(NOTEBOOKS)))
	@$(BIN)/python tools/execute_notebooks.py demo

test: lint  ## Check style and types, run every test and the notebooks; say how much of the package they ran
	$(run_tests) --cov --cov-report=

quick: env  ## Run the tests that load no TensorFlow, in a minute or two
	$(run_tests) -m "not tensorflow"

tpu: env  ## Install what a TPU machine gets, with Python 3.12, and run it until only the chip is missing
	$(BIN)/python -m pytest -m install

# Without the pins, so that what a new version breaks is seen before it is pinned.
newest: VENV := build/newest
newest:  ## Run every test with the newest versions that pyproject.toml allows, in build/newest
	rm -rf $(VENV) && $(or $(PYTHON),python3.12) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[train,onnx,beam,cloud,heic,label,ray,notebooks,docs,test]'
	$(run_tests) --deselect tests/test_project.py::test_tpu_requirements_are_complete

env: $(VENV)/made  ## Make the environment: the tested set of packages and this one

notebooks: env  ## Write the setup cell, run the notebooks and keep their outputs, to be committed
	@$(BIN)/python tools/write_setup_cell.py
	@$(call fresh_copy,build/notebooks,$(NOTEBOOKS))
	@$(BIN)/python tools/execute_notebooks.py build/notebooks
	cp $(NOTEBOOKS:%=build/notebooks/%) notebooks/

exports: env  ## Take every preset to float32 and int8 for LiteRT; say which operators it has and what int8 changes
	$(BIN)/python benchmarks/exports.py --presets

# The first of them is of 2022: it takes a Python of that time, PYTHON39=/path/to/python3.9.
ORIGINALS = build/originals
originals: env $(ORIGINALS)/object_detection_api/made $(ORIGINALS)/keras_hub_retinanet/made  ## Train with the programs that others used; carry it over, compare
	$(ORIGINALS)/object_detection_api/bin/python -W ignore tools/originals/object_detection_api.py trained $(ORIGINALS)/trained
	$(ORIGINALS)/keras_hub_retinanet/bin/python -W ignore tools/originals/keras_hub_retinanet.py trained $(ORIGINALS)/trained/keras_hub_retinanet
	$(BIN)/python tools/originals/compare.py $(ORIGINALS)/trained/*

$(ORIGINALS)/object_detection_api/made: tools/originals/object_detection_api.txt
	@$(or $(PYTHON39),python3.9) -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 9))' || { \
	  echo "The TensorFlow Object Detection API needs Python 3.9 with its venv module; name one:" >&2; \
	  echo "make originals PYTHON39=/path/to/python3.9" >&2; exit 1; }
	rm -rf $(@D) && $(or $(PYTHON39),python3.9) -m venv $(@D)
	$(@D)/bin/python -m pip install --no-deps --requirement $<
	@touch $@

$(ORIGINALS)/keras_hub_retinanet/made: tools/originals/keras_hub_retinanet.txt
	rm -rf $(@D) && $(or $(PYTHON),python3.12) -m venv $(@D)
	$(@D)/bin/python -m pip install --no-deps --requirement $<
	@touch $@

docs: env  ## Make the documentation, which opens offline: build/docs/index.html
	$(BIN)/python tools/write_docs.py build

# What the older Python can have, the newer one can have too.
pins:  ## Move the packages that requirements.txt brings along to their newest versions, in requirements-tpu.txt
	rm -rf build/pins && $(or $(PYTHON),python3.11) -m venv build/pins
	build/pins/bin/python -m pip install --requirement requirements.txt
	PYTHONPATH=. build/pins/bin/python tools/write_tpu_requirements.py

lint: env  ## Check style, imports and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

clean:  ## Delete the environment and what the commands above made; runs/ and exports/ stay
	rm -rf $(VENV) build demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .coverage

# The stamp is made last, so that an environment that was cut short is finished by the next command.
$(VENV)/made: requirements.txt requirements-tpu.txt pyproject.toml
	@for python in $(or $(PYTHON),python3.12 python3.11 python3 python); do \
	  if "$$python" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
	  then echo "Making $(VENV) with $$python: about 3 GB, a few minutes."; exec "$$python" -m venv $(VENV); fi; \
	done; \
	echo "Needs Python 3.11 or 3.12 with its venv module; tried: $(or $(PYTHON),python3.12 python3.11 python3 python)." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3.12-venv) or name one: make PYTHON=/path/to/python3.12" >&2; \
	exit 1
	$(BIN)/python -m pip install --requirement requirements.txt --constraint requirements-tpu.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@
