json.deps = base pb
json.pkgs = libprotobuf-c
