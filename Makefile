# `make serve` and `make test` each set everything up first; a second run installs nothing.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
prepare := $(or $(PYTHON),python3) tools/prepare.py
bin := .venv/bin
# Tests and npm find the Node that the set-up may have installed.
with_node := PATH="$(CURDIR)/.venv/bin:$$PATH"

# Every start of a server would compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup web serve test test-long test-services fuzz check format lint proto bench lock docs clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## Make .venv with everything that development needs
	@$(prepare) dev node journeys

serve: ## Set up and run the server; ARGS="--http-port 9000" passes options on
	@$(prepare) serve web
	@exec $(bin)/hongyan serve $(ARGS)

web: ## Build the web pages if they are absent or differ from their sources
	@$(prepare) web

pytest = $(with_node) $(bin)/python -m pytest
in_parallel = -n auto --dist loadgroup

test: setup web ## Set up and run the tests that need only PyPI and npm packages; ARGS are pytest's
	$(pytest) $(in_parallel) $(ARGS)

test-long: setup web ## Benchmarks for moments, and searches at random for what breaks a promise
	$(pytest) $(in_parallel) -m "long and not services" $(ARGS)

test-services: setup web ## Install Debian's browser and servers (as root) and run the tests that need them
	@$(prepare) services
	$(pytest) -m services $(ARGS)

fuzz: setup ## Look for inputs that do harm, by coverage; ARGS="--seconds 60 commands" limits time and targets
	$(bin)/python -m tests.fuzz.run $(ARGS)

check: lint ## Everything that must hold before a change lands
	$(MAKE) test

lint: setup
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports

format: setup ## Format the code and put right what ruff can
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

bench: setup ## Measure chat, fan-out, a large chat room and idle sessions; ARGS are passed on
	$(bin)/hongyan bench chat $(ARGS)
	$(bin)/hongyan bench fanout $(ARGS)
	$(bin)/hongyan bench room $(ARGS)
	$(bin)/hongyan bench idle $(ARGS)

proto: setup ## Generate the protobuf modules from the .proto files
	for folder in src/hongyan/wire sdk/python/src/hongyan_client; do $(bin)/python -m grpc_tools.protoc \
		-I src/hongyan/wire --python_out=$$folder --pyi_out=$$folder src/hongyan/wire/messages2.proto || exit; done
	folder=src/hongyan/hub/connectors/feishu; $(bin)/python -m grpc_tools.protoc \
		-I $$folder --python_out=$$folder --pyi_out=$$folder $$folder/long_connection.proto

docs: setup ## Write the generated parts of the documentation
	$(bin)/python tools/decisions.py
	$(bin)/python tools/configuration.py
	$(bin)/python tools/errors.py
	$(bin)/python tools/protocol.py
	$(bin)/python tools/limits.py
	$(bin)/python -m tools.leancloud_rest
	$(bin)/python tools/webhooks.py
	$(bin)/python tools/channels.py

compile = $(bin)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: setup ## Write the lock files from pyproject.toml and package.json; ARGS=--upgrade renews all versions
	$(compile) $(ARGS) pyproject.toml --group build -o requirements/serve.txt
	$(compile) $(ARGS) pyproject.toml --group build --group dev --group platforms --extra bench -c requirements/serve.txt -o requirements/dev.txt
	$(compile) $(ARGS) --group node -o requirements/node.txt
	$(compile) $(ARGS) --group leancloud -o requirements/leancloud.txt
	cd tests/journeys/js && $(with_node) npm install --package-lock-only --ignore-scripts

clean: ## Remove everything that can be made again
	rm -rf .venv build dist src/hongyan/web_dist web/node_modules tests/journeys/js/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
	find src sdk tests tools -name __pycache__ -type d -exec rm -rf {} +
