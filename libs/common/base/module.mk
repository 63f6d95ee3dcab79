base.deps =
base.pkgs = libcrypto
