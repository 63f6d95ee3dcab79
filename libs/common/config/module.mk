config.deps = base
config.pkgs = yaml-0.1
