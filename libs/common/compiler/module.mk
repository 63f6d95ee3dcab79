compiler.deps = base pb flyte
compiler.pkgs =
compiler.test_deps = json
