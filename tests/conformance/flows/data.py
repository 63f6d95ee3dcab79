"""Values of every kind: attribute paths into large and small outputs, files, unions, defaults, what is passed by
reference. PAD makes a value larger than what travels with events."""
import datetime
import os
import tempfile
from dataclasses import dataclass
from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from flytekit import LaunchPlan, conditional, map_task, task, workflow
from flytekit.core.array_node import array_node
from flytekit.core.task import Echo
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.structured import StructuredDataset
from pydantic import BaseModel

from leaves import integer, integers, quoted, shell, text, truth

PAD = 100_000
OLD = {"FLYTE_USE_OLD_DC_FORMAT": "true"}


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Inner:
    x: int
    ys: List[int]
    m: Dict[str, int]


@dataclass
class Record:
    n: int
    name: str
    yes: bool
    inner: Inner
    inners: List[Inner]
    maybe: Optional[int] = None
    pad: str = ""


class Model(BaseModel):
    n: int
    inner: Dict[str, List[int]]
    pad: str = ""


def record(n, pad):
    inner = Inner(x=n + 1, ys=[n, n + 1, n + 2], m={"k": n * 10})
    return Record(n=n, name=f"r{n}", yes=n > 0, inner=inner, inners=[inner, Inner(0, [7], {})], pad="p" * pad)


@task
def make(n: int, pad: int) -> Record:
    return record(n, pad)


@task(environment=OLD)
def make_old(n: int, pad: int) -> Record:
    return record(n, pad)


@task
def make_model(n: int, pad: int) -> Model:
    return Model(n=n, inner={"ys": [n, n + 1]}, pad="p" * pad)


@task
def see(v: Inner, r: Record, ys: List[int], maybe: Optional[int]) -> str:
    return f"{v.x} {v.m} {r.n} {len(r.pad)} {ys} {maybe}"


@task
def see_model(v: Model, ys: List[int]) -> str:
    return f"{v.n} {v.inner} {len(v.pad)} {ys}"


@workflow
def attributes(n: int, pad: int = PAD) -> Tuple[int, str, bool, int, int, str]:
    r = make(n=n, pad=pad)
    return (integer(v=r.n), text(v=r.name), truth(v=r.yes), integer(v=r.inner.m["k"]), integer(v=r.inners[1].ys[0]),
            see(v=r.inner, r=r, ys=r.inner.ys, maybe=r.maybe))


@workflow
def old_attributes(n: int, pad: int = PAD) -> Tuple[str, bool, str]:
    r = make_old(n=n, pad=pad)
    return text(v=r.name), truth(v=r.yes), see(v=r.inner, r=r, ys=r.inner.ys, maybe=r.maybe)


@workflow
def model_attributes(n: int, pad: int = PAD) -> Tuple[int, int, str]:
    m = make_model(n=n, pad=pad)
    return integer(v=m.n), integer(v=m.inner["ys"][1]), see_model(v=m, ys=m.inner["ys"])


@task
def collections(n: int) -> Tuple[List[Record], Dict[str, List[str]]]:
    return [record(n, PAD), record(n + 1, 0)], {"a": ["x" * PAD, "short"], "b": []}


@workflow
def of_collections(n: int) -> Tuple[int, str, str]:
    rs, d = collections(n=n)
    return integer(v=rs[1].inner.x), text(v=rs[0].name), text(v=d["a"][1])


@workflow
def inside(r: Record) -> Tuple[int, Inner]:
    return integer(v=r.inner.ys[2]), r.inner


@workflow
def through_workflows(n: int) -> Tuple[int, int]:
    y, i = inside(r=make(n=n, pad=PAD))
    return y, integer(v=i.m["k"])


@workflow
def branch_on_attribute(n: int) -> str:
    r = make(n=n, pad=PAD)
    x, yes = integer(v=r.inner.x), truth(v=r.yes)  # flytekit cannot compare attributes
    return (conditional("size").if_((x > 5) & yes.is_true()).then(text(v="large")).else_().then(text(v=r.name)))


@task
def square(n: int) -> int:
    return n * n


@workflow
def map_over_attribute(n: int) -> List[int]:
    return map_task(square)(n=make(n=n, pad=PAD).inner.ys)


@workflow
def bad_index(n: int) -> int:
    return integer(v=make(n=n, pad=PAD).inner.ys[9])


@workflow
def bad_key(n: int) -> str:
    r = make(n=n, pad=PAD)
    return see(v=r.inner, r=r, ys=r.inner.ys, maybe=r.inner.m["zz"])


@workflow
def bad_key_at_hand(n: int) -> int:
    return integer(v=make(n=n, pad=0).inner.m["zz"])


# Long lists.

@task
def strings(n: int, length: int) -> List[str]:
    return [f"{i:05}" + "s" * length for i in range(n)]


@task
def heads(ss: List[str]) -> Tuple[List[str], int]:
    return [ss[0][:6], ss[-1][:6]], len(ss)


@task
def same(s: str) -> str:
    return s


@workflow
def long_map(n: int) -> Tuple[List[str], int]:
    """The list is of 3 MB: it is not read, only its items are."""
    return heads(ss=map_task(same)(s=strings(n=n, length=1_000_000)))


@workflow
def one_string(n: int) -> List[str]:
    return strings(n=2, length=n)


one_string_plan = LaunchPlan.get_or_create(one_string, "data.one_string_plan")


@task
def lengths(sss: List[List[str]]) -> List[int]:
    return [len(s) for ss in sss for s in ss]


@workflow
def large_children(ns: List[int]) -> List[int]:
    return lengths(sss=array_node(one_string_plan)(n=ns))


# Unions, enums, defaults.

@task
def pick(v: Union[int, str, List[int], None], c: Color, d: Optional[Dict[str, Optional[int]]]) -> str:
    return f"{type(v).__name__} {v} {c.value} {d and sorted(d.items(), key=str)}"


@workflow
def unions(v: Union[int, str, List[int], None] = None, c: Color = Color.GREEN,
           d: Optional[Dict[str, Optional[int]]] = None) -> str:
    return pick(v=v, c=c, d=d)


@task
def maybe(n: int) -> Optional[List[Union[int, str]]]:
    return [n, str(n)] if n else None


@workflow
def optional_outputs(n: int) -> Tuple[Optional[List[Union[int, str]]], Optional[List[Union[int, str]]]]:
    return maybe(n=n), maybe(n=0)


@workflow
def defaults(n: int = 3, s: str = "ä\n", f: float = 0.5, b: bool = True, xs: List[int] = [1, 2],
             t: datetime.timedelta = datetime.timedelta(days=1, microseconds=5),
             at: datetime.datetime = datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
             none: Optional[int] = None) -> Tuple[int, str, float, bool, List[int], datetime.timedelta,
                                                  datetime.datetime, Optional[int]]:
    return integer(v=n), s, f, b, xs, t, at, none


@task
def times(d: datetime.date, t: datetime.timedelta, at: datetime.datetime) -> Tuple[datetime.date, datetime.timedelta,
                                                                                  datetime.datetime]:
    return d + datetime.timedelta(days=1), -t, at + t


@workflow
def dates(d: datetime.date, t: datetime.timedelta, at: datetime.datetime) -> Tuple[
        datetime.date, datetime.timedelta, datetime.datetime]:
    return times(d=d, t=t, at=at)


class Named(NamedTuple):
    total: int
    words: List[str]
    color: Color


@task
def named(n: int) -> Named:
    return Named(n + 1, ["a"] * n, Color.RED)


@workflow
def named_outputs(n: int) -> Named:
    r = named(n=n)
    return Named(integer(v=r.total), r.words, r.color)


# Bindings put together of constants and promises.

@task
def weigh(xs: List[List[int]], d: Dict[str, int], s: Dict[str, List[str]]) -> str:
    return f"{xs} {sorted(d.items())} {sorted(s.items())}"


@workflow
def composed(n: int) -> str:
    r = make(n=n, pad=PAD)
    return weigh(xs=[[n, 1], [], [r.n, r.inner.ys[0]]], d={"n": n, "k": r.inner.m["k"], "c": 5},
                 s={"names": [r.name, "é"], "none": []})


# What is passed by reference.

@dataclass
class Files:
    one: FlyteFile
    many: List[FlyteFile]
    by_name: Dict[str, FlyteFile]
    folder: FlyteDirectory


def written(name, content):
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content)
    return path


@task
def files(n: int) -> Files:
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "in"), "w", encoding="utf-8") as f:
        f.write("inside")
    return Files(FlyteFile(written("a", f"one {n}")), [FlyteFile(written(f"m{i}", f"many {i}")) for i in range(2)],
                 {"k": FlyteFile(written("k", "named"))}, FlyteDirectory(folder))


def content(f: FlyteFile) -> str:
    with open(f, encoding="utf-8") as g:
        return g.read()


@task
def read_files(fs: Files, one: FlyteFile, folder: FlyteDirectory) -> List[str]:
    with open(os.path.join(folder.download(), "in"), encoding="utf-8") as f:
        folded = f.read()
    return [content(fs.one), content(one), folded] + [content(f) for f in fs.many] + [content(fs.by_name["k"])]


@workflow
def references(n: int) -> List[str]:
    fs = files(n=n)
    return read_files(fs=fs, one=fs.many[1], folder=fs.folder)


dataset = Echo(name="data.dataset", inputs={"v": StructuredDataset})


@workflow
def datasets(v: StructuredDataset) -> StructuredDataset:
    return dataset(v=v)


class Strange:
    def __init__(self, n):
        self.n = n


@task
def strange(n: int) -> Tuple[Strange, Any]:
    return Strange(n), {"n": [n]}


@task
def less_strange(s: Strange, a: Any) -> str:
    return f"{s.n} {a}"


@workflow
def pickles(n: int) -> str:
    s, a = strange(n=n)
    return less_strange(s=s, a=a)


# An offloaded list, which the test writes.

@task
def total(xs: List[int]) -> int:
    return sum(xs)


@workflow
def offloaded(xs: List[int]) -> Tuple[int, int, List[int], List[int]]:
    return total(xs=xs), integer(v=xs[1]), map_task(square)(n=xs), integers(v=xs)


def nested(depth):
    """A LiteralMap whose o0 is a list of a list of … that many lists."""
    body = b""
    for _ in range(depth):
        inner = body
        body = b"\x12" + varint(len(inner)) + inner
        body = b"\x0a" + varint(len(body)) + body
    literal = b"\x12" + varint(len(body)) + body
    entry = b"\x0a\x02o0\x12" + varint(len(literal)) + literal
    return b"\x0a" + varint(len(entry)) + entry


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def deep_task(depth):
    script = "mkdir -p {{.outputPrefix}}; printf '%s' > {{.outputPrefix}}/outputs.pb" % quoted(nested(depth))
    return shell(f"data.deep{depth}", script, outputs={"o0": List[int]})


deep40 = deep_task(40)
deep150 = deep_task(150)


@workflow
def deep() -> List[int]:
    return deep40()


@workflow
def too_deep() -> List[int]:
    return deep150()
