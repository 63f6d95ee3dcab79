http.deps = base metrics
http.pkgs = libmicrohttpd
