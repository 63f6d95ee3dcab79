service.deps = base config metrics loop http
service.pkgs =
