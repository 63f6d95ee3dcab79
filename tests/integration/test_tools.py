"""The checks find what they are there to find."""
import os
import shutil
import stat
import subprocess
import sys

import pytest

from stack import REPOSITORY

RULES = [
    ("libs/common/base/str.c", '#include "services/admin/admin.h"', "libs/common includes a service"),
    ("libs/common/base/buf.c", '#include "http/http.h"', "module base does not name http in its module.mk"),
    ("libs/common/base/map.c", '#include "../http/http.h"', "an include that leaves the module"),
    ("libs/common/service/service.c", '#include "config/private.h"', "the private header of module config"),
    ("services/propeller/executor.h", '#include "config/private.h"', "the private header of module config"),
    ("services/propeller/executor.h", '#include "../admin/admin.h"', "service propeller includes service admin"),
    ("services/propeller/engine/engine.h", "# include <unistd.h>", "the engine does no I/O"),
    ("services/propeller/engine/engine.h", '#include "db/db.h"', "the engine includes only"),
    ("services/propeller/engine/engine.h", '#include "../executor.h"', "the engine includes only"),
]


@pytest.fixture
def sources(tmp_path):
    for d in ("libs", "services"):
        shutil.copytree(os.path.join(REPOSITORY, d), tmp_path / d)
    return tmp_path


def check_includes(directory):
    return subprocess.run([sys.executable, os.path.join(REPOSITORY, "tools/check-includes")], cwd=directory, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("path,line,why", RULES)
def test_an_include_against_the_rules_is_found(sources, path, line, why):
    with open(sources / path, "a", encoding="utf-8") as f:
        f.write(line + "\n")
    with open(sources / path, encoding="utf-8") as f:
        number = len(f.readlines())
    p = check_includes(sources)
    assert p.returncode == 1
    assert f"{path}:{number}: " in p.stdout and why in p.stdout


def test_a_header_that_needs_another_is_found(tmp_path):
    (tmp_path / "bad.h").write_text("size_t f(void);\n")
    (tmp_path / "good.h").write_text("#include <stddef.h>\nsize_t f(void);\n")
    check = os.path.join(REPOSITORY, "tools/check-headers")
    env = dict(os.environ, CFLAGS="-Wall -Werror")
    good = subprocess.run([check, "good.h"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    both = subprocess.run([check, "good.h", "bad.h"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    assert good.returncode == 0, good.stderr
    assert both.returncode != 0 and "bad.h: does not compile alone" in both.stderr


def test_undocumented_configuration_is_found(tmp_path):
    daemon = tmp_path / "bin/alula-x"
    daemon.parent.mkdir()
    daemon.write_text("#!/bin/sh\necho '# keys'\n")
    daemon.chmod(0o755)
    docs = tmp_path / "docs/config/x.md"
    docs.parent.mkdir(parents=True)
    check = [os.path.join(REPOSITORY, "tools/check-config"), "bin", "x"]
    docs.write_text("# keys\n")
    assert subprocess.run(check, cwd=tmp_path).returncode == 0
    docs.write_text("# old keys\n")
    p = subprocess.run(check, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and "make docs" in p.stderr


PROGRAMS = {
    "good": ("[       OK ] a\\n[       OK ] b", "exit 0", "2 passed   0 failed"),
    "bad": ("[       OK ] a\\n[  FAILED  ] b\\n[  FAILED  ] 1 test(s), listed below:\\n[  FAILED  ] b", "exit 1",
            "1 passed   1 failed"),
    "leaking": ("[       OK ] a", "exit 23", "1 passed   1 failed"),
    "crashing": ("[       OK ] a", "kill -SEGV $$", "1 passed   1 failed"),
    "hanging": ("[       OK ] a", "exec sleep 60", "1 passed   1 failed"),
}


def test_results_are_summed(tmp_path):
    paths = []
    for name, (output, end, _) in PROGRAMS.items():
        path = tmp_path / "tests/unit/x" / f"test_{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '{output}\\n'\n{end}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        paths.append(str(path))
    p = subprocess.run([sys.executable, os.path.join(REPOSITORY, "tools/run-tests"), "unit", "--timeout", "5",
                        "--programs", " ".join(paths)], stdout=subprocess.PIPE, text=True)
    assert p.returncode == 1
    for name, (_, _, counts) in PROGRAMS.items():
        line = next(x for x in p.stdout.splitlines() if f"unit/x/test_{name} " in x)
        assert counts in line
    assert p.stdout.splitlines()[-1] == "6 passed, 4 failed"


@pytest.mark.parametrize("quoted", ["-k 'a or b' -x", '-k "a or b" -x'])
def test_arguments_of_pytest_are_quoted_as_for_a_shell(tmp_path, quoted):
    """Through make as well."""
    python, told = tmp_path / "bin/python", tmp_path / "told"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {told}\n")
    python.chmod(0o755)
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTEST_ARGS"}
    subprocess.run(["make", "-o", "deps", "-o", "all", f"VENV={tmp_path}", f"PYTEST_ARGS={quoted}", "integration"],
                   cwd=REPOSITORY, stdout=subprocess.DEVNULL, env={k: v for k, v in os.environ.items() if k not in outer})
    assert told.read_text().splitlines()[-3:] == ["-k", "a or b", "-x"]
