"""One task writes a file, others read it.

    python examples/words.py
    pyflyte --config var/etc/flyte-client.yaml run --remote examples/words.py words --lines 1000
"""
from collections import Counter
from pathlib import Path
from typing import Dict, Tuple

from flytekit import current_context, task, workflow
from flytekit.types.file import FlyteFile

SAYING = "the quick brown fox jumps over the lazy dog"


@task
def write(lines: int) -> FlyteFile:
    path = Path(current_context().working_directory) / "sayings.txt"
    path.write_text("".join(f"{SAYING}\n" for _ in range(lines)))
    return FlyteFile(str(path))


@task
def size(text: FlyteFile) -> int:
    return Path(text.download()).stat().st_size


@task
def count(text: FlyteFile, most: int = 2) -> Dict[str, int]:
    with open(text) as f:
        return dict(Counter(f.read().split()).most_common(most))


@workflow
def words(lines: int = 100) -> Tuple[int, Dict[str, int]]:
    text = write(lines=lines)
    return size(text=text), count(text=text)


if __name__ == "__main__":
    print(words())
