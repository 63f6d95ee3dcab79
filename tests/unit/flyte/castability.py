#!/usr/bin/env python3
"""Write castability.inc: which type may be given to a variable of which other, for all pairs of a generated set.

The rules are those of docs/types.md, stated here a second time and from there, not from the C code: test_castability
holds the C code against what this writes.  `--check` compares with the file there is (make lint).

Types are JSON forms of flyteidl.core.LiteralType; the rows name them by expressions over the leaves: [t] is a list,
{t} a map, (t|u) a union, t#x a type with tag x.
"""
import itertools
import json
import pathlib
import sys

FILE = pathlib.Path(__file__).with_name("castability.inc")

# ---- the rules ----

COLUMN_TYPES = {"INTEGER", "FLOAT", "STRING", "BOOLEAN", "DATETIME", "DURATION"}
ASIDE = ("structure", "metadata", "annotation")


def kind(t):
    return next((k for k in t if k not in ASIDE), None)


def is_simple(t, name):
    return t.get("simple") == name


def tag(t):
    return t.get("structure", {}).get("tag", "")


def given_to(source, target):
    """A value as a whole, or a variant of a union: a union of one variant is as good as that variant."""
    if kind(source) == "unionType" and len(source["unionType"]["variants"]) == 1:
        if takes(target, source["unionType"]["variants"][0]):
            return True
    return takes(target, source)


def takes(target, source):
    return TAKES.get(kind(target), takes_plain)(target, source)


def takes_list(target, source):
    return takes_elements("collectionType", target, source)


def takes_map(target, source):
    return takes_elements("mapValueType", target, source)


def takes_elements(of, target, source):
    if kind(source) != of:
        return False
    return is_simple(source[of], "NONE") or takes(target[of], source[of])


def takes_blob(target, source):
    if kind(source) != "blob":
        return False
    formats = {source["blob"].get("format", ""), target["blob"].get("format", "")}
    return len(formats - {""}) <= 1


def takes_union(target, source):
    variants = target["unionType"]["variants"]
    if kind(source) == "unionType":
        return all(any(given_to(s, t) for t in variants) for s in source["unionType"]["variants"])
    return sum(given_to(source, t) for t in variants) == 1


def takes_schema(target, source):
    if kind(source) == "structuredDatasetType":
        return is_parquet(source) and columns_fit(source, target)
    return kind(source) == "schema" and columns_fit(source, target)


def takes_dataset(target, source):
    if is_simple(source, "NONE"):
        return True
    if kind(source) == "schema":
        return is_parquet(target) and columns_fit(source, target)
    if kind(source) != "structuredDatasetType":
        return False
    formats = {t["structuredDatasetType"].get("format", "").lower() for t in (source, target)}
    return len(formats - {""}) <= 1 and columns_fit(source, target)


def is_parquet(dataset):
    return dataset["structuredDatasetType"].get("format", "").lower() in ("", "parquet")


def columns_fit(source, target):
    given, wanted = columns(source), columns(target)
    if not given or not wanted:
        return True
    there = dict(given)  # of columns with one name the last counts
    fits = COLUMN_FITS.get((kind(source), kind(target)), is_same_column)
    return all(name in there and fits(there[name], type_) for name, type_ in wanted)


def is_same_column(given, wanted):
    """Of a schema and a dataset: of the dataset's column only the simple type counts."""
    return given.get("simple") == wanted.get("simple") and wanted.get("simple") in COLUMN_TYPES


COLUMN_FITS = {("schema", "schema"): lambda given, wanted: given == wanted,
               ("structuredDatasetType", "structuredDatasetType"): lambda given, wanted: takes(wanted, given)}


def columns(t):
    if "schema" in t:
        return [(c["name"], {"simple": c.get("type", "INTEGER")}) for c in t["schema"].get("columns", [])]
    return [(c["name"], c["literalType"]) for c in t["structuredDatasetType"].get("columns", [])]


def takes_plain(target, source):
    """Simple types, enums, and types that are not set."""
    if is_simple(target, "NONE"):
        return is_simple(source, "NONE")
    if {kind(source), kind(target)} == {"enumType", "simple"} and (is_simple(source, "STRING") or is_simple(target, "STRING")):
        return True
    if tag(source) and tag(source) != tag(target):
        return False
    if is_simple(source, "STRUCT") and is_simple(target, "STRUCT"):
        if "metadata" not in source or "metadata" not in target:
            return True
        given, wanted = source["metadata"], target["metadata"]
        return given == wanted or schema_covers((given, given), (wanted, wanted))
    k = kind(source)
    return k == kind(target) and (k is None or source[k] == target[k])


TAKES = {"collectionType": takes_list, "mapValueType": takes_map, "blob": takes_blob, "unionType": takes_union,
         "schema": takes_schema, "structuredDatasetType": takes_dataset}

# ---- JSON schemas of dataclasses: pairs of a document and a place in it ----


def resolve(root, schema):
    while "$ref" in schema:
        place = root
        for part in schema["$ref"].split("/")[1:]:
            place = place[part]
        schema = place
    return root, schema


def schema_covers(given, wanted, alternative=False):
    (given_root, g), (wanted_root, w) = resolve(*given), resolve(*wanted)

    def deeper(a, b, alternative=alternative):
        return schema_covers((given_root, a), (wanted_root, b), alternative)

    if words(g, "type") != words(w, "type") and not ("type" not in w and words(g, "type") == {"object"}):
        return False
    if words(w, "type") & {"string"}:
        if g.get("format") != w.get("format") or ("enum" in w and not words(g, "enum") <= words(w, "enum")):
            return False
    if words(w, "type") & {"array"} and "items" in w:
        if "items" not in g or not deeper(g["items"], w["items"]):
            return False
    if "type" not in w or words(w, "type") & {"object"}:
        if alternative and (g.get("additionalProperties") is False or w.get("additionalProperties") is False):
            return False
        if not words(w, "required") <= words(g, "required"):
            return False
        have = g.get("properties", {})
        if not all(p in have and deeper(have[p], s) for p, s in w.get("properties", {}).items()):
            return False
    for several in ("allOf", "anyOf", "oneOf"):
        mine, theirs = g.get(several, []), w.get(several, [])
        if bool(mine) != bool(theirs) or not all(any(deeper(m, t, True) for t in theirs) for m in mine):
            return False
    return True


def words(schema, key):
    v = schema.get(key, [])
    return {v} if isinstance(v, str) else set(v)


# ---- the types ----


def properties(more=None, **of):
    return {"type": "object", "properties": of, **(more or {})}


INT, TEXT = {"type": "integer"}, {"type": "string"}
CLOSED = {"additionalProperties": False}
DATACLASSES = {
    "a": properties(a=INT),
    "ab": properties(a=INT, b=TEXT),
    "text": properties(a=TEXT),
    "required": properties({"required": ["a"]}, a=INT),
    "closed": properties(CLOSED, a=INT, b=TEXT),
    "maybe": properties(a={"anyOf": [INT, {"type": "null"}]}),
    "maybe2": properties(a={"anyOf": [INT, TEXT, {"type": "null"}]}),
    "inner": properties(i=properties(a=INT)),
    "inner2": properties(i=properties(CLOSED, a=INT, b=TEXT)),
    "maybein": properties(i={"anyOf": [properties(a=INT), {"type": "null"}]}),
    "maybecl": properties(i={"anyOf": [properties(CLOSED, a=INT), {"type": "null"}]}),
    "list": properties(l={"type": "array", "items": INT}),
    "enum": properties(e={"type": "string", "enum": ["x"]}),
    "enum2": properties(e={"type": "string", "enum": ["x", "y"]}),
    "date": properties(a={"type": "string", "format": "date"}),
    "ref": {"$ref": "#/definitions/A", "definitions": {"A": properties(a=INT)}},
}


def schema(*cols):
    return {"schema": {"columns": [{"name": n, "type": t} for n, t in cols]}}


def dataset(format_, *cols, **more):
    return {"structuredDatasetType": {"format": format_, **more,
                                      "columns": [{"name": n, "literalType": t} for n, t in cols]}}


def simple(name, **more):
    return {"simple": name, **more}


def leaves():
    for name in ("none", "integer", "float", "string", "boolean", "datetime", "duration", "binary", "error", "struct"):
        yield name, simple(name.upper())
    yield "unset", {}
    for name, s in DATACLASSES.items():
        yield f"class-{name}", simple("STRUCT", metadata=s)
    for name, values in {"enum": [], "enum-x": ["x"], "enum-xy": ["x", "y"], "enum-yx": ["y", "x"]}.items():
        yield name, {"enumType": {"values": values}}
    for name, form in (("", ""), ("-csv", "csv"), ("-CSV", "CSV"), ("-bin", "bin")):
        yield f"blob{name}", {"blob": {"format": form, "dimensionality": "SINGLE"}}
        yield f"parts{name}", {"blob": {"format": form, "dimensionality": "MULTIPART"}}
    a, b = ("a", "INTEGER"), ("b", "STRING")
    for name, cols in {"": [], "-a": [a], "-ab": [a, b], "-ba": [b, a], "-b": [b], "-at": [("a", "STRING")],
                       "-aat": [a, ("a", "STRING")], "-ad": [("a", "DATETIME")], "-a9": [("a", 9)]}.items():
        yield f"schema{name}", schema(*cols)
    yield from datasets()
    for name, t in {"integer": simple("INTEGER"), "string": simple("STRING"), "struct": simple("STRUCT")}.items():
        yield f"{name}-annotated", {**t, "annotation": {"annotations": {"k": 1}}}
        yield f"{name}-structured", {**t, "structure": {"dataclassType": {"k": {"simple": "INTEGER"}}}}
    yield "integer-meta", simple("INTEGER", metadata={"k": 1})
    yield "string-meta", simple("STRING", metadata={"k": 1})


def datasets():
    integer, text = simple("INTEGER"), simple("STRING")
    for name, cols in {"": [], "-a": [("a", integer)], "-ab": [("a", integer), ("b", text)], "-at": [("a", text)],
                       "-aat": [("a", integer), ("a", text)], "-an": [("a", simple("NONE"))],
                       "-al": [("a", {"collectionType": integer})],
                       "-au": [("a", {"unionType": {"variants": [integer, text]}})],
                       "-a1": [("a", {"unionType": {"variants": [integer]}})]}.items():
        yield f"data{name}", dataset("", *cols)
    for form in ("parquet", "Parquet", "csv"):
        yield f"data-{form}", dataset(form)
        yield f"data-{form}-a", dataset(form, ("a", integer))
    for name, t in {"meta": {"metadata": {"k": 1}}, "tag": {"structure": {"tag": "x"}}}.items():
        yield f"data-a{name}", dataset("", ("a", {**integer, **t}))
    yield "data-arrow", dataset("", externalSchemaType="arrow", externalSchemaBytes="AA==")


LEAVES = dict(leaves())
SOME = ["none", "integer", "string", "struct", "class-a", "class-ab", "enum-x", "blob", "blob-csv", "schema-a", "data-a"]
FEW = ["none", "integer", "string", "blob-csv", "data"]


def expressions():
    """Every leaf, lists and maps of each; of some, what stands in two levels; unions, also in unions."""
    yield from LEAVES
    yield from (f"[{t}]" for t in LEAVES)
    yield from (f"{{{t}}}" for t in LEAVES)
    for t in SOME:
        yield from (f"[[{t}]]", f"[{{{t}}}]", f"{{[{t}]}}", f"{{{{{t}}}}}")
        yield from (f"({t})", f"(({t}))", f"[({t})]", f"({t}|{t})", f"([{t}])", f"({{{t}}}|none)")
    for t, u in itertools.combinations(SOME, 2):
        yield f"({t}|{u})"
    for t, u in itertools.combinations(FEW, 2):
        yield from (f"({u}|{t})", f"[({t}|{u})]", f"{{({t}|{u})}}", f"([{t}]|[{u}])", f"(({t}|{u})|none)",
                    f"(({t})|({u}))", f"((({t}|{u})))", f"({t}|{u}|float)")
    yield "(unset|integer)"
    for t in ("integer", "string", "struct", "class-a", "blob", "enum-x", "[integer]", "(integer|string)"):
        yield from (f"{t}#x", f"{t}#y", f"({t}#x|none)", f"({t}#x|{t}#y)")
    yield from ("[integer#x]", "{string#x}", "(integer#x|string#y|none)", "(integer#x|string#x)")


def parse(text):
    t, rest = parse_at(text)
    assert not rest, text
    return t


def parse_at(s):
    if s[0] == "(":
        variants = []
        while s[0] != ")":
            t, s = parse_at(s[1:])
            variants.append(t)
        t, s = {"unionType": {"variants": variants}}, s[1:]
    elif s[0] in "[{":
        inner, rest = parse_at(s[1:])
        t, s = {"collectionType" if s[0] == "[" else "mapValueType": inner}, rest[1:]
    else:
        n = next((i for i, c in enumerate(s) if c in "()[]{}|#"), len(s))
        t, s = LEAVES[s[:n]], s[n:]
    if s[:1] == "#":
        t, s = {**t, "structure": {"tag": s[1]}}, s[2:]
    return t, s


# ---- the file ----


def row(source, targets):
    """Four targets a hexadecimal digit, the first one highest."""
    bits = "".join("01"[given_to(source, t)] for t in targets)
    return "".join(f"{int(bits[i:i + 4].ljust(4, '0'), 2):x}" for i in range(0, len(bits), 4))


def contents():
    names = list(dict.fromkeys(expressions()))
    types = [parse(n) for n in names]
    out = ["/* Written by castability.py: do not edit. LEAF(name, type), then ROW(from, to all, four a digit). */"]
    out += [f"LEAF({json.dumps(n)}, {json.dumps(json.dumps(t))})" for n, t in LEAVES.items()]
    out += [f"ROW({json.dumps(n)}, {json.dumps(row(t, types))})" for n, t in zip(names, types)]
    return "\n".join(out) + "\n"


def main():
    new = contents()
    if "--check" not in sys.argv:
        FILE.write_text(new)
    elif FILE.read_text() != new:
        sys.exit(f"{FILE}: differs from what castability.py says: run it, then tests/unit/flyte/test_castability")


if __name__ == "__main__":
    main()
