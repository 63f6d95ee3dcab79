api.deps = base pb metrics
api.pkgs =
