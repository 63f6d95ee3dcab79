pb.deps = base
pb.pkgs = libprotobuf-c
