# Tidegate. `make` or `make help` lists what there is.
# Needs Python 3.11 or newer with pip, and make; everything else is installed into .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
BIN := .venv/bin
TESTS ?= tests
WORKERS ?= 2
# More than processors, because some tests wait for what they have started.
TESTERS ?= 3
BROWSERS ?= 3
# Compiled once and kept: what starts many processes would otherwise compile the product anew in each.
unexport PYTHONDONTWRITEBYTECODE
PYTHON_CLIENTS := aggregation async quix

# A Python that is new enough: the first of PYTHONS, or the one given as PYTHON=…
FIND_PYTHON = for name in $(or $(PYTHON),$(PYTHONS)); do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$name"; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Tidegate needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi

# Installs only when requirements.txt differs from what is installed, or .venv's Python is gone.
# Some systems ship venv without ensurepip; then the system's pip installs into .venv.
SETUP = set -e; \
	if ! cmp -s requirements.txt .venv/installed.txt || ! $(BIN)/python -c '' 2>/dev/null; then \
	  found=; $(FIND_PYTHON); \
	  if ! $(BIN)/python -c '' 2>/dev/null; then \
	    echo "Making .venv with $$found"; rm -rf .venv; \
	    "$$found" -m venv .venv >/dev/null 2>&1 || "$$found" -m venv --clear --without-pip .venv; \
	  fi; \
	  echo "Installing requirements"; \
	  if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	  else pip="$$found -m pip --python $(BIN)/python"; fi; \
	  $$pip install --quiet --disable-pip-version-check --requirement requirements.txt; \
	  cp requirements.txt .venv/installed.txt; \
	fi

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
	  while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## Make .venv and install the pinned requirements, if they changed
	@$(SETUP)

.PHONY: up
up: ## Start everything; Ctrl-C ends it
	@$(SETUP); exec $(BIN)/python manage.py up

.PHONY: quick
quick: ## The quick tests: functions, a call of each operation, tidiness
	@$(SETUP); exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not torture" tests/unit tests/domain/gateway tests/tidy

.PHONY: test
test: ## All tests but the torture
	@$(SETUP); $(BIN)/python -m pytest -n $(TESTERS) --dist loadscope --no-loadscope-reorder -m "not browser and not torture and not interop" $(TESTS)
	@exec $(BIN)/python -m pytest -n $(BROWSERS) --dist loadscope -m "browser and not torture and not interop" $(patsubst tests,tests/browser,$(TESTS))

.PHONY: test-postgres
test-postgres: ## The tests that use the database, once more on a PostgreSQL server of their own
	@$(SETUP); exec $(BIN)/python -m tests.support.postgres $(BIN)/python -m pytest -n $(WORKERS) \
	  -m "not system and not browser and not torture and not interop" tests/domain tests/console tests/wire tests/contract/test_leases.py

.PHONY: check
check: ## Lint, types and import floors
	@$(SETUP); $(BIN)/ruff check . && $(BIN)/mypy . && $(BIN)/lint-imports

.PHONY: demo
demo: .interop/cli-installed ## A real log (LOG=<file>) through Tidegate and back, compared byte for byte
	@$(SETUP); exec $(BIN)/python -m tests.interop.demo $(if $(LOG),--log "$(LOG)")

.PHONY: bench
bench: ## Speed, CPU and memory against kinesalite, in one table
	@$(SETUP); exec $(BIN)/python -m tests.bench.run

.PHONY: interop
interop: .interop/installed $(PYTHON_CLIENTS:%=.interop/%-installed) .interop/java-installed .interop/opensearch-installed .interop/s3-installed ## Other clients and servers, unmodified: AWS CLI, JavaScript, Java, Python libraries, OpenSearch, S3
	@echo "NOT TESTED: Splunk, Elasticsearch, and the OpenTelemetry collector's receivers of Firehose and HEC, for want of them"
	@$(SETUP); exec $(BIN)/python -m pytest -m interop tests/interop

.interop/cli-installed: tests/interop/requirements-cli.txt
	@$(SETUP); mkdir -p .interop; echo "Installing the AWS CLI in an environment of its own"
	@test -x .interop/cli/bin/python || $(BIN)/python -m venv .interop/cli
	@.interop/cli/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/interop/requirements-cli.txt
	@touch $@

.interop/%-installed: tests/interop/python/requirements-%.txt
	@$(SETUP); mkdir -p .interop; echo "Installing Python clients in an environment of their own: $*"
	@test -x .interop/$*/bin/python || $(BIN)/python -m venv .interop/$*
	@.interop/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.interop/java-installed: tests/interop/java/pom.xml
	@mkdir -p .interop/java; if command -v mvn >/dev/null && command -v java >/dev/null; then \
	  echo "Fetching the AWS SDK for Java"; cp tests/interop/java/pom.xml .interop/java/ && cd .interop/java && \
	  rm -rf lib && mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib && cd ../.. && touch $@; \
	else echo "NOT TESTED: the AWS SDK for Java, for want of Maven and Java 17"; fi

.interop/s3-installed: tests/interop/s3-servers.txt
	@mkdir -p .interop/s3; if command -v go >/dev/null; then failed=; \
	  while read -r server; do echo "Building $$server, which takes minutes"; \
	    GOBIN="$(CURDIR)/.interop/s3" GOPATH="$(CURDIR)/.interop/s3/go" GOFLAGS=-modcacherw go install "$$server" >.interop/s3/build.log 2>&1 || \
	      { failed=1; echo "NOT TESTED: delivery to $$server, which could not be built (.interop/s3/build.log)"; }; \
	  done <$<; test -n "$$failed" || touch $@; \
	else echo "NOT TESTED: delivery to real S3 servers, for want of Go"; fi

.interop/opensearch-installed: tests/interop/opensearch/pom.xml
	@mkdir -p .interop/opensearch; if command -v mvn >/dev/null && command -v java >/dev/null; then \
	  echo "Fetching OpenSearch"; cp tests/interop/opensearch/pom.xml .interop/opensearch/ && cd .interop/opensearch && \
	  rm -rf lib && mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib && cd ../.. && touch $@; \
	else echo "NOT TESTED: delivery to OpenSearch, for want of Maven and Java 17"; fi

.interop/installed: .interop/cli-installed tests/interop/js/package-lock.json tests/interop/js/put_get_subscribe.mjs
	@command -v npm >/dev/null || { echo "npm is needed for the JavaScript SDK; install Node.js 20 or newer" >&2; exit 1; }
	@mkdir -p .interop/js && cp tests/interop/js/* .interop/js/ && cd .interop/js && npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: torture
torture: ## Kills and generated bad requests: long
	@$(SETUP); exec $(BIN)/python -m pytest -m torture $(TESTS)

.PHONY: worked-examples
worked-examples: ## Bills of the worked examples: at full volume, and a ten-thousandth of it through real calls
	@$(SETUP); exec $(BIN)/python -m pytest -n 0 tests/domain/billing/test_worked_examples.py tests/torture/test_worked_traffic.py

.PHONY: truth
truth: ## Bills equal truth: a million records of five teams, with kills (TRUTH_RECORDS, TRUTH_KILLS)
	@$(SETUP); exec $(BIN)/python -m pytest -n 0 -s -m torture tests/torture/test_billing_truth.py

.PHONY: closing
closing: ## A month of 10,000 streams is closed: how long it takes, and how much memory
	@$(SETUP); exec $(BIN)/python -m pytest -n 0 -s -m torture tests/torture/test_closing_month.py

.PHONY: budgets
budgets: ## What pages cost on slow and quick machines, measured against a running Tidegate
	@$(SETUP); exec $(BIN)/python -m pytest tests/browser/test_budgets.py

.PHONY: fuzz-api
fuzz-api: ## Ten minutes of requests made up from the REST API's document (FUZZ_S=<seconds>)
	@$(SETUP); FUZZ_S=$(or $(FUZZ_S),600) exec $(BIN)/python -m pytest -n 0 -s -m torture tests/api/test_generated.py

.PHONY: screenshots
screenshots: ## Pictures of every page, both themes, wide and narrow, in screenshots/
	@$(SETUP); exec $(BIN)/python -m tests.browser.screenshots

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows in requirements.txt
	@$(SETUP); test -x build/lock/bin/pip-compile || { $(BIN)/python -m venv build/lock && build/lock/bin/pip install --quiet pip-tools; }
	@$(BIN)/python -m tests.support.lock

.PHONY: clean
clean: ## Remove what can be made again (not the data)
	rm -rf .venv .interop build screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
