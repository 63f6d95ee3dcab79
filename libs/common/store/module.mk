store.deps = base pb
store.pkgs = libcrypto
