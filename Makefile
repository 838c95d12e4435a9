# The targets of this repository. Each target is one script in .ci/, which first installs missing tools.

.DEFAULT_GOAL := help
.PHONY: help demo test lint guests soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build everything and run the demo; options: make demo ARGS="--json"
	@.ci/demo.sh $(ARGS)

test: ## build the guests and run all tests
	@.ci/test.sh

lint: ## formatting, clippy, spelling, shell scripts, licences and dependencies
	@.ci/lint.sh

soak: ## simulate fresh seeds until stopped; prints the first that fails
	@.ci/soak.sh

guests: ## build each example projection into target/guests/NAME.wasm
	@.ci/guests.sh

clean: ## remove everything that was built here
	@cargo clean
	@rm -rf examples/target
