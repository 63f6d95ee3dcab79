"""The real flytectl on a stack: `ctl("get", "task", ...)` runs it and gives what it printed.

It comes from ALULA_FLYTECTL or the PATH.  It cannot be had from the registries that the tests install from: where it is
not there, the modules that call need_flytectl() are skipped, and `make test` ends with what was not tested.
"""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from flyte_client import DOMAIN, FLOWS, PROJECT
from flytectl_calls import Recorder

MISSING = ("NOT TESTED: there is no flytectl on this machine. Put flytectl v1.16 on the PATH, or name it in ALULA_FLYTECTL, "
           "and run `make conformance PYTEST_ARGS='-k flytectl'`")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def find_flytectl():
    named = os.environ.get("ALULA_FLYTECTL")
    if named and not os.access(named, os.X_OK):
        raise FileNotFoundError(f"ALULA_FLYTECTL: {named} is not a program")
    return os.path.abspath(named) if named else shutil.which("flytectl")


def need_flytectl():
    if not find_flytectl():
        pytest.skip(MISSING, allow_module_level=True)


class Failed(Exception):
    """What flytectl printed to standard error."""


class Flytectl:
    def __init__(self, stack, directory):
        self.program = find_flytectl()
        self.stack = stack
        self.directory = directory
        self.config = os.path.join(stack.var, "etc/flyte-client.yaml")
        self.recorder = None
        if os.environ.get("ALULA_FLYTECTL_RECORD"):
            self.record(os.environ["ALULA_FLYTECTL_RECORD"])
        # Nothing of the user's, and nothing beyond this machine: `version` looks for a newer flytectl.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory), "FLYTECTL_CONFIG": self.config,
                    "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}

    def record(self, path):
        self.recorder = Recorder(self.stack.grpc_address, path)
        self.config = self.file("recorder.yaml", {"admin": {"endpoint": f"dns:///localhost:{self.recorder.port}",
                                                            "insecure": True}})

    def run(self, *args, stdin="", timeout=60, **env):
        p = subprocess.run([self.program, *map(str, args)], cwd=self.directory, env={**self.env, **env}, input=stdin,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if self.recorder:
            self.recorder.wrote(args)
        return p

    def plain(self, *args, **kwargs):
        """Without a project; what it printed, colours left out."""
        p = self.run(*args, **kwargs)
        if p.returncode:
            raise Failed(p.stderr)
        return COLOURS.sub("", p.stdout)

    def __call__(self, *args, project=PROJECT, domain=DOMAIN, **kwargs):
        return self.plain(*args, "-p", project, "-d", domain, **kwargs)

    def run_in(self, *args, project=PROJECT, domain=DOMAIN, **kwargs):
        return self.run(*args, "-p", project, "-d", domain, **kwargs)

    def fails(self, *args, **kwargs):
        """The first line of its error; the second is the same for machines."""
        with pytest.raises(Failed) as failed:
            self(*args, **kwargs)
        [line] = [s for s in str(failed.value).splitlines() if s.startswith("Error: ")][:1]
        return line[len("Error: "):]

    def json(self, *args, **kwargs):
        return json.loads(self(*args, "-o", "json", **kwargs))

    def yaml(self, *args, **kwargs):
        return yaml.safe_load(self(*args, "-o", "yaml", **kwargs))

    def table(self, *args, **kwargs):
        return rows(self(*args, **kwargs))

    def file(self, name, content):
        """A file with this content, as JSON if it is no text: flytectl reads it as YAML, where a bare n is false."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def read(self, name):
        with open(os.path.join(self.directory, name), encoding="utf-8") as f:
            return yaml.safe_load(f)


def rows(table):
    """A table's rows by its header, whose "NAME (18)" is NAME. Below a rule begins a row; its further lines go on its cells."""
    found, begins = [], False
    for line in table.splitlines():
        if not line.startswith("|"):
            begins = True
            continue
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        if begins:
            found.append(cells)
        else:
            found[-1] = [f"{a}\n{b}" if b else a for a, b in zip(found[-1], cells)]
        begins = False
    header = [re.sub(r" \(\d+\)$", "", cell) for cell in found[0]]
    return [dict(zip(header, cells)) for cells in found[1:]]


def package(directory, modules, *options, source=FLOWS):
    """`pyflyte package` of modules; the archive."""
    path = os.path.join(directory, f"{'-'.join(modules)}.tgz")
    pyflyte = os.path.join(os.path.dirname(sys.executable), "pyflyte")
    selected = [a for m in modules for a in ("--pkgs", m)]
    p = subprocess.run([pyflyte, *selected, "package", "--source", source, "--output", path, "--image", "debian:12", "--force",
                        *options], cwd=source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=120)
    assert p.returncode == 0, p.stdout
    return path


class Registered:
    """flytectl on a project of its own, where versions v1 and v2 of flows/ctl.py are registered."""

    def __init__(self, ctl, project):
        self.ctl, self.project, self.directory = ctl, project, ctl.directory
        ctl.plain("create", "project", "--id", project, "--name", project, "--description", "of test_flytectl")
        self.archive = package(ctl.directory, ["ctl"], "--copy", "all")
        self.register("v1")
        self.register("v2")

    def __getattr__(self, name):
        def call(*args, **kwargs):
            return getattr(self.ctl, name)(*args, **{"project": self.project, **kwargs})
        return call

    def __call__(self, *args, **kwargs):
        return self.ctl(*args, **{"project": self.project, **kwargs})

    def register(self, version, *options, **kwargs):
        return self.table("register", "files", "--archive", self.archive, "--version", version, *options, **kwargs)
