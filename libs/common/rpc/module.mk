rpc.deps = base pb api metrics
rpc.pkgs = grpc
