flyte.deps = base pb
flyte.pkgs =
flyte.test_deps = json
