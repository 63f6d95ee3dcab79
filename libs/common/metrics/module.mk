metrics.deps = base
metrics.pkgs =
