db.deps = base metrics
db.pkgs = libpq
