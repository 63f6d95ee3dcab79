loop.deps = base
loop.pkgs = libevent libevent_pthreads
