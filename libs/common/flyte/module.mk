flyte.deps = base pb
flyte.pkgs =
