bus.deps = base pb metrics db
bus.pkgs = libnats
