"""Leaves that cost little, for workflows of which only the graph matters: echoes, which the engine runs by itself (what
goes in comes out), and shell scripts."""
import datetime
from typing import List

from flytekit import ContainerTask
from flytekit.core.task import Echo

integer = Echo(name="leaves.integer", inputs={"v": int})
number = Echo(name="leaves.number", inputs={"v": float})
text = Echo(name="leaves.text", inputs={"v": str})
truth = Echo(name="leaves.truth", inputs={"v": bool})
instant = Echo(name="leaves.instant", inputs={"v": datetime.datetime})
integers = Echo(name="leaves.integers", inputs={"v": List[int]})

# `give N` makes the integer N below 128 the output o0: a LiteralMap as protobuf has it.
GIVE = (r"give() { mkdir -p {{.outputPrefix}}; printf '\012\014\012\002o0\022\006\012\004\012\002\010'"
        r'"\\$(printf %03o $1)" > {{.outputPrefix}}/outputs.pb; }; ')


def shell(name, script, **kwargs):
    """A task that runs a script; it may `give` an integer."""
    return ContainerTask(name=name, image="debian:12", command=["sh", "-c", GIVE + script], **kwargs)


def quoted(data):
    """Bytes for printf in a script."""
    return "".join(f"\\{b:03o}" for b in data)
