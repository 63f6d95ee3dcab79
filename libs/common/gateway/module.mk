gateway.deps = base pb json api http
gateway.pkgs =
