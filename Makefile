# `make` opens the program, `make test` checks everything that needs no virtual machine,
# `make lab` runs it on real systemds in virtual machines, `make bench` measures.
.POSIX:
.DEFAULT_GOAL := run
.PHONY: run install test lint lab lab-all faults fuzz bench pictures messages clean

VENV = .venv
PY = $(VENV)/bin/python
READY = $(VENV)/.ready

run: $(READY)
	@$(VENV)/bin/lowmem-tui --or-demo

# Debian's python3 has no ensurepip until python3-venv is there.
$(VENV)/bin/python:
	@python3 -c 'import ensurepip' 2>/dev/null || { \
	  echo "python3-venv is missing: installing it with apt-get"; \
	  if [ "$$(id -u)" = 0 ]; then APT=apt-get; else APT="sudo env DEBIAN_FRONTEND=noninteractive apt-get"; fi; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { $$APT install -qq -y python3-venv 2>/dev/null || \
	    { $$APT update -qq && $$APT install -qq -y python3-venv; }; } >/dev/null </dev/null; }
	@python3 -m venv $(VENV)

CATALOGS = lowmem_tui/locale/zh_CN/LC_MESSAGES/lowmem-tui.po

$(READY): $(VENV)/bin/python pyproject.toml $(CATALOGS)
	@echo "Setting up $(VENV) (once) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.ready-dev: $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: $(READY)

lint: $(VENV)/.ready-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

test: lint
	$(VENV)/bin/pytest -n 3 --dist worksteal -m 'not lab and not bench'
	@echo "Not run here: the lab (real systemds in virtual machines): make lab"

# Needs qemu-system-x86, qemu-utils, mmdebstrap, e2fsprogs, openssh-client: see docs/development.md.
lab: $(VENV)/.ready-dev
	$(PY) -m tests.lab test -- -m 'lab and not long'
	@echo "Not run here: what takes an hour in the lab: make lab-all"

lab-all: $(VENV)/.ready-dev
	$(PY) -m tests.lab test -- -m lab

# All of the proofs that `make test` samples: see docs/safety.md.
faults: $(VENV)/.ready-dev
	LOWMEM_FAULTS=1 LOWMEM_PLANS=10000 $(VENV)/bin/pytest -s tests/change/test_faults.py tests/change/test_real_death.py \
	  tests/change/test_round_trip.py

# A million inputs for each parser of foreign text; guided by coverage where atheris installs.
fuzz: $(VENV)/.ready-dev
	$(PY) -m pip install --quiet --disable-pip-version-check atheris || echo "without atheris"
	$(PY) -m tests.fuzz $(FUZZ)

bench: $(VENV)/.ready-dev
	$(PY) -m tests.bench

pictures: $(VENV)/.ready-dev
	LOWMEM_TUI_PICTURES=write $(VENV)/bin/pytest -q tests/tui/test_picture.py

# Extracts what is to be translated, brings the catalogs up to date and compiles them: docs/translation.md.
messages: $(VENV)/.ready-dev
	$(PY) -m tests.catalogs

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
