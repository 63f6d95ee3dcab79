"""docs/flytectl.md: its commands are run as they stand there, and print what it says.

A ```yaml block whose first line is "# NAME" is a file. In a ```console block stand commands after "$ ", each with what it
prints to both outputs; a line "…" stands for any lines. Times, numbers of seconds, ports and widths may differ. A command that
reads is asked again until it says what is expected, or for SECONDS.
"""
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from flytectl import COLOURS, find_flytectl, need_flytectl
from stack import REPOSITORY

need_flytectl()
DOCS = os.path.join(REPOSITORY, "docs/flytectl.md")
BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```$", re.M | re.S)
SECONDS = 120
MASKS = [(COLOURS, ""),
         (re.compile(r'^\{"json":.*\n?', re.M), ""),  # the error once more, for machines
         (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000 UTC|Z)?( m=\S+)?"), "TIME"),
         (re.compile(r"\b\d+(\.\d+)?s\b"), "SECONDS"),
         (re.compile(r"\S*/register\d+/"), "DIRECTORY/"),
         (re.compile(r"localhost:\d+"), "localhost:PORT"),
         (re.compile(r"\S*/flyte-client.yaml"), "CONFIG"),
         (re.compile(r"\S*var/store/\S*"), "STORE"),
         (re.compile(r"^ ?-[- ]*-+ *$\n?", re.M), ""),
         (re.compile(r"[ \t]+"), " ")]


def masked(text):
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def says(expected, printed):
    """`printed` is `expected`, where "…" is any number of lines."""
    at, gap = 0, False
    for i, line in enumerate(expected):
        if line == "…":
            gap = True
            continue
        last = len(printed) - (len(expected) - i)
        if gap and "…" not in expected[i:]:
            at = max(at, last)
        while at < len(printed) and printed[at] != line and gap:
            at += 1
        if at >= len(printed) or printed[at] != line:
            return False
        at, gap = at + 1, False
    return gap or at == len(printed)


def commands(text):
    """Of a console block: each command and the lines it prints."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


@pytest.fixture
def shell(new_stack, tmp_path):
    """Runs a command where there are the examples, flytectl and a stack."""
    stack = new_stack()
    shutil.copytree(os.path.join(REPOSITORY, "examples"), tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bin").mkdir()
    os.symlink(find_flytectl(), tmp_path / "bin/flytectl")
    env = {"PATH": f"{tmp_path}/bin:{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "HOME": str(tmp_path),
           "FLYTECTL_CONFIG": f"{stack.var}/etc/flyte-client.yaml", "S": "-p flytesnacks -d development",
           "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1", "COLUMNS": "120"}

    def run(command):
        return subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120).stdout

    run.directory = tmp_path
    return run


def run_until(shell, command, expected):
    """What it printed at last."""
    end = time.monotonic() + (SECONDS if command.startswith("flytectl get") else 0)
    while True:
        printed = shell(command)
        if says(masked(expected), masked(printed)) or time.monotonic() >= end:
            return printed
        time.sleep(0.2)


@pytest.mark.timeout(600)
def test_the_documented_commands_print_what_is_documented(shell):
    with open(DOCS, encoding="utf-8") as f:
        blocks = BLOCK.findall(f.read())
    ran = 0
    for kind, text in blocks:
        if kind == "yaml":
            (shell.directory / text.split(None, 2)[1]).write_text(text)
            continue
        for command, expected in commands(text):
            printed = run_until(shell, command, expected)
            assert says(masked(expected), masked(printed)), f"$ {command}\n{printed}\n--- the docs have\n{expected}"
            ran += 1
    assert ran > 50


@pytest.mark.parametrize("expected, printed, same", [
    ("a\nb", "a\nb", True), ("a", "a\nb", False), ("a\n…", "a\nb\nc", True), ("…\nc", "a\nb\nc", True), ("…\nb", "a\nb\nc", False),
    ("a\n…\nc", "a\nc", True), ("a\n…\nc\nd", "a\nc\nb\nc\nd", True), ("…\nb\n…\nd", "a\nb\nc\nd", True), ("", "", True),
    ("2026-01-02T03:04:05.6Z took 3.5s", "2027-11-12T13:14:15Z  took 12s", True), ("", "a", False), ("a", "", False),
])
def test_comparing(expected, printed, same):
    assert says(masked(expected), masked(printed)) == same
