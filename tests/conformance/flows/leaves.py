"""Leaves that the engine runs by itself: what goes in comes out. For workflows of which only the graph matters."""
import datetime
from typing import List

from flytekit.core.task import Echo

integer = Echo(name="leaves.integer", inputs={"v": int})
number = Echo(name="leaves.number", inputs={"v": float})
text = Echo(name="leaves.text", inputs={"v": str})
truth = Echo(name="leaves.truth", inputs={"v": bool})
instant = Echo(name="leaves.instant", inputs={"v": datetime.datetime})
integers = Echo(name="leaves.integers", inputs={"v": List[int]})
