"""Datacatalog: reservations, CacheService, batched calls, two daemons on one database, bad input."""
import concurrent.futures
import threading
import time
import uuid

import grpc
import pytest
from flyteidl.cacheservice import cacheservice_pb2 as cs
from flyteidl.cacheservice.cacheservice_pb2_grpc import CacheServiceStub
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.datacatalog import datacatalog_pb2 as dc
from flyteidl.datacatalog.datacatalog_pb2_grpc import DataCatalogStub
from google.protobuf import duration_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from catalog_api import CatalogStub, message
from test_datacatalog import (CODES, add_tag, by_id, by_tag, dataset_id, integer, make_artifact, make_dataset, metadata, refused,
                              text, unique, values)

CLIENTS = 50


@pytest.fixture(scope="module")
def catalog(stack):
    return stack.stub(DataCatalogStub, "datacatalog")


@pytest.fixture(scope="module")
def cache(stack):
    return stack.stub(CacheServiceStub, "datacatalog")


@pytest.fixture(scope="module")
def batch(stack):
    return stack.stub(CatalogStub, "datacatalog")


def milliseconds(n):
    return duration_pb2.Duration(seconds=n // 1000, nanos=n % 1000 * 1000000)


def reservation_id(tag=None):
    return dc.ReservationID(dataset_id=dataset_id(), tag_name=tag or "t")


def reserve(catalog, id, owner, ms=None):
    return catalog.GetOrExtendReservation(dc.GetOrExtendReservationRequest(
        reservation_id=id, owner_id=owner, heartbeat_interval=milliseconds(ms) if ms is not None else None)).reservation


def release(catalog, id, owner):
    catalog.ReleaseReservation(dc.ReleaseReservationRequest(reservation_id=id, owner_id=owner))


def reserve_for(catalog, id, owner, ms, seconds):
    """A reservation that must hold so long from the moment it was made, which is some time during the call."""
    before = time.time()
    got = reserve(catalog, id, owner, ms)
    assert before + seconds - 0.001 < got.expires_at.ToMicroseconds() / 1e6 < time.time() + seconds + 0.001
    return got


def let_pass(stack, owner, seconds):
    """As if so much time had gone by for the reservation of this owner."""
    stack.sql("UPDATE datacatalog.reservations SET expires_at = expires_at - %s * interval '1 second' WHERE owner = %s",
              seconds, owner)


# ---- reservations ----

def test_a_reservation_is_held_extended_and_released(catalog):
    id = reservation_id()
    first = reserve_for(catalog, id, "a", 5000, 15)
    assert first.owner_id == "a" and first.reservation_id == id and first.heartbeat_interval == milliseconds(5000)
    assert reserve(catalog, id, "b", 9000).expires_at == first.expires_at
    again = reserve_for(catalog, id, "a", 5000, 15)
    assert again.owner_id == "a" and again.expires_at.ToMicroseconds() > first.expires_at.ToMicroseconds()
    release(catalog, id, "b")
    assert reserve(catalog, id, "b").owner_id == "a"
    release(catalog, id, "a")
    release(catalog, id, "a")
    assert reserve(catalog, id, "b").owner_id == "b"


def test_heartbeats_are_cut_to_the_longest(catalog):
    for ms in (3600000, None):
        assert reserve_for(catalog, reservation_id(), "a", ms, 30).heartbeat_interval == milliseconds(10000)


def test_an_expired_reservation_goes_to_who_asks_next(catalog, stack):
    id, a, b = reservation_id(), unique("a"), unique("b")
    reserve(catalog, id, a)
    let_pass(stack, a, 15)
    assert reserve(catalog, id, b).owner_id == a
    reserve_for(catalog, id, a, None, 30)  # a heartbeat within the grace
    let_pass(stack, a, 16)
    assert reserve(catalog, id, b).owner_id == a
    let_pass(stack, a, 16)
    assert reserve(catalog, id, b).owner_id == b
    assert reserve(catalog, id, a).owner_id == b


def test_reservations_of_nobody_go(new_stack):
    """While the daemon runs, which may be for months."""
    stack = new_stack()
    catalog = stack.stub(DataCatalogStub, "datacatalog")
    stack.sql("INSERT INTO datacatalog.reservations SELECT decode(md5(i::text), 'hex'), 'gone', "
              "now() - i * interval '1 hour' FROM generate_series(1, 100) i")
    reserve(catalog, reservation_id(), "a")
    assert stack.sql("SELECT count(*) FROM datacatalog.reservations WHERE owner = 'gone'") == [(23,)]


def together(n, fn):
    """fn(i) on n threads that start at once."""
    barrier = threading.Barrier(n)

    def run(i):
        barrier.wait()
        return fn(i)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


def test_of_fifty_clients_one_owns(catalog):
    for _ in range(5):
        id = reservation_id()
        owners = {r.owner_id for r in together(CLIENTS, lambda i: reserve(catalog, id, f"o{i}", 5000))}
        assert len(owners) == 1
        # It expires: one of fifty takes it over.
        id = reservation_id()
        reserve(catalog, id, "gone", 1)
        time.sleep(0.01)
        owners = {r.owner_id for r in together(CLIENTS, lambda i: reserve(catalog, id, f"o{i}", 5000))}
        assert len(owners) == 1 and owners != {"gone"}


def test_never_two_owners_at_a_time(catalog):
    """Clients that hold for a moment and release: their holds never overlap."""
    id, inside, held, overlaps = reservation_id(), [], [], []

    def client(i):
        for _ in range(20):
            if reserve(catalog, id, f"o{i}", 5000).owner_id != f"o{i}":
                continue
            inside.append(i)
            overlaps.extend(inside[1:])
            held.append(i)
            inside.remove(i)
            release(catalog, id, f"o{i}")

    together(12, client)
    assert held and not overlaps


def test_bad_reservations(catalog):
    def both(id, owner, error):
        refused(catalog.GetOrExtendReservation, dc.GetOrExtendReservationRequest(reservation_id=id, owner_id=owner),
                CODES.INVALID_ARGUMENT, error)
        refused(catalog.ReleaseReservation, dc.ReleaseReservationRequest(reservation_id=id, owner_id=owner),
                CODES.INVALID_ARGUMENT, error)

    both(None, "a", "missing reservation_id")
    both(dc.ReservationID(tag_name="t"), "a", "missing dataset")
    both(dc.ReservationID(dataset_id=dataset_id()), "a", "missing tagName")
    both(reservation_id(), "", "missing owner_id")
    refused(catalog.GetOrExtendReservation, dc.GetOrExtendReservationRequest(
        reservation_id=reservation_id(), owner_id="a", heartbeat_interval=duration_pb2.Duration(seconds=-1)),
        CODES.INVALID_ARGUMENT)


# ---- CacheService ----

def output(literals=None, uri=None, **pairs):
    source = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, project="p", domain="d", name="n", version="v")
    return cs.CachedOutput(
        output_literals=None if literals is None else literals_pb2.LiteralMap(literals=literals), output_uri=uri,
        metadata=cs.Metadata(source_identifier=source, key_map=cs.KeyMapMetadata(values=pairs)))


def put(cache, key, value, overwrite=False):
    cache.Put(cs.PutCacheRequest(key=key, output=value, overwrite=overwrite))


def get(cache, key):
    return cache.Get(cs.GetCacheRequest(key=key)).output


def test_an_output_is_put_once_and_overwritten(cache):
    key = unique("key")
    refused(cache.Get, cs.GetCacheRequest(key=key), CODES.NOT_FOUND, f"missing entity of type output with identifier {key}")
    put(cache, key, output({"o": integer(1)}, node="n0"))
    got = get(cache, key)
    assert got.output_literals.literals["o"] == integer(1) and got.metadata.key_map.values["node"] == "n0"
    assert got.metadata.source_identifier.name == "n" and got.metadata.created_at == got.metadata.last_updated_at
    refused(cache.Put, cs.PutCacheRequest(key=key, output=output({})), CODES.ALREADY_EXISTS,
            f"Output with key {key} already exists")
    put(cache, key, output(uri="s3://b/k"), overwrite=True)
    again = get(cache, key)
    assert again.output_uri == "s3://b/k" and again.metadata.created_at == got.metadata.created_at
    assert again.metadata.last_updated_at.ToMicroseconds() > got.metadata.last_updated_at.ToMicroseconds()
    cache.Delete(cs.DeleteCacheRequest(key=key))
    refused(cache.Get, cs.GetCacheRequest(key=key), CODES.NOT_FOUND)
    refused(cache.Delete, cs.DeleteCacheRequest(key=key), CODES.NOT_FOUND)


def test_large_literals_lie_in_the_store(cache, stack):
    import os
    key = "../" + unique("key")
    put(cache, key, output({"o": text("x" * 50000)}))
    first = get(cache, key).output_uri
    assert first.startswith(f"{stack.store}/metadata/datacatalog/cached_outputs/..%2Fkey")
    with open(first, "rb") as f:
        assert literals_pb2.LiteralMap.FromString(f.read()).literals["o"] == text("x" * 50000)
    put(cache, key, output({"o": text("y" * 50000)}), overwrite=True)
    second = get(cache, key).output_uri
    assert not os.path.exists(first) and os.path.exists(second)
    refused(cache.Put, cs.PutCacheRequest(key=key, output=output({"o": text("z" * 50000)})), CODES.ALREADY_EXISTS)
    cache.Delete(cs.DeleteCacheRequest(key=key))
    assert not os.path.exists(second)


def test_bad_outputs(cache):
    bad = CODES.INVALID_ARGUMENT
    refused(cache.Get, cs.GetCacheRequest(), bad, "missing key")
    refused(cache.Delete, cs.DeleteCacheRequest(), bad, "missing key")
    refused(cache.Put, cs.PutCacheRequest(output=output({})), bad, "missing key")
    refused(cache.Put, cs.PutCacheRequest(key="k"), bad, "missing output")
    refused(cache.Put, cs.PutCacheRequest(key="k", output=output()), bad, "invalid value for output, value:[]")
    refused(cache.Put, cs.PutCacheRequest(key="k", output=output(uri="")), bad, "missing output_uri")
    refused(cache.Put, cs.PutCacheRequest(key="k", output=cs.CachedOutput(output_uri="x")), bad, "missing source_identifier")
    refused(cache.GetOrExtendReservation, cs.GetOrExtendReservationRequest(key="k"), bad, "missing owner_id")
    refused(cache.ReleaseReservation, cs.ReleaseReservationRequest(owner_id="o"), bad, "missing key")


def test_reservations_of_keys(cache):
    key = unique("key")

    def ask(owner, ms=5000):
        return cache.GetOrExtendReservation(cs.GetOrExtendReservationRequest(
            key=key, owner_id=owner, heartbeat_interval=milliseconds(ms))).reservation

    assert len({r.owner_id for r in together(CLIENTS, lambda i: ask(f"o{i}"))}) == 1
    owner = ask("x").owner_id
    assert ask("x").key == key
    cache.ReleaseReservation(cs.ReleaseReservationRequest(key=key, owner_id=owner))
    assert ask("y", 20).owner_id == "y"
    time.sleep(0.1)
    assert ask("z").owner_id == "z"


# ---- batches ----

def key_of(dataset, tag):
    return message("CatalogKey")(dataset=dataset, tag=tag)


def one_put(dataset, tag, id=None, overwrite=False, **pairs):
    values_ = [message("CatalogValue")(name=k, literal=v.SerializeToString()) for k, v in pairs.items()]
    return message("CatalogPut")(key=key_of(dataset, tag), artifact_id=id or str(uuid.uuid4()), values=values_,
                                 metadata=metadata(node="n0"), dataset_metadata=metadata(task="v7"), overwrite=overwrite)


def put_all(batch, puts):
    return batch.BatchPut(message("BatchPutRequest")(puts=puts)).results


def get_all(batch, *keys):
    return batch.BatchGet(message("BatchGetRequest")(keys=keys)).entries


def stored(entry):
    artifact = message("StoredArtifact").FromString(entry.artifact)
    return {v.name: literals_pb2.Literal.FromString(v.literal) if v.in_row else v.uri for v in artifact.values}


def test_what_is_put_in_a_batch_is_there(catalog, batch, stack):
    datasets = [dataset_id() for _ in range(3)]
    puts = [one_put(datasets[i % 3], f"t{i}", x=integer(i)) for i in range(300)]
    results = put_all(batch, puts)
    assert [(r.code, r.existed, r.artifact_id) for r in results] == [(0, False, p.artifact_id) for p in puts]
    entries = get_all(batch, key_of(datasets[0], "no"), *[p.key for p in puts])
    assert entries[0].code == 5 and [stored(e) for e in entries[1:]] == [{"x": integer(i)} for i in range(300)]
    assert dc.Metadata.FromString(entries[1].dataset_metadata) == metadata(task="v7")
    assert [e.artifact_id for e in entries[1:]] == [p.artifact_id for p in puts]
    # Flyte's API sees the same, and so do the objects.
    artifact = by_tag(catalog, datasets[1], "t1")
    assert values(artifact) == {"x": integer(1)} and artifact.metadata == metadata(node="n0")
    with open(f"{stack.store}/metadata/datacatalog/p/d/{datasets[1].name}/v1/{artifact.id}/x/data.pb", "rb") as f:
        assert literals_pb2.Literal.FromString(f.read()) == integer(1)


def test_a_batch_finds_what_flytes_api_put(catalog, batch):
    dataset = make_dataset(catalog)
    id = make_artifact(catalog, dataset, tag="t", x=text("z" * 99999), y=integer(1))
    entry, = get_all(batch, key_of(dataset, "t"))
    assert entry.artifact_id == id and entry.created_at == by_id(catalog, dataset, id).created_at
    uris = stored(entry)
    with open(uris["x"], "rb") as f:
        assert literals_pb2.Literal.FromString(f.read()) == text("z" * 99999)


def test_what_is_there_stays_unless_overwritten(catalog, batch, stack):
    import os
    dataset = dataset_id()
    first, = put_all(batch, [one_put(dataset, "t", x=integer(1))])
    again = one_put(dataset, "t", x=integer(2))
    result, new = put_all(batch, [again, one_put(dataset, "u", x=integer(3))])
    assert (result.existed, result.artifact_id) == (True, first.artifact_id) and not new.existed
    refused(catalog.GetArtifact, dc.GetArtifactRequest(dataset=dataset, artifact_id=again.artifact_id), CODES.NOT_FOUND)
    over = one_put(dataset, "t", overwrite=True, y=integer(4))
    for _ in range(2):  # the second is a repeat of the first
        result, = put_all(batch, [over])
        assert (result.code, result.existed, result.artifact_id) == (0, False, over.artifact_id)
        assert values(by_tag(catalog, dataset, "t")) == {"y": integer(4)}
    refused(catalog.GetArtifact, dc.GetArtifactRequest(dataset=dataset, artifact_id=first.artifact_id), CODES.NOT_FOUND)
    base = f"{stack.store}/metadata/datacatalog/p/d/{dataset.name}/v1"
    assert os.listdir(f"{base}/{first.artifact_id}/x") == []
    assert os.listdir(f"{base}/{over.artifact_id}/y") == ["data.pb"]
    # Another tag keeps the artifact.
    add_tag(catalog, dataset, over.artifact_id, "kept")
    put_all(batch, [one_put(dataset, "t", overwrite=True, y=integer(5))])
    assert values(by_tag(catalog, dataset, "kept")) == {"y": integer(4)}
    assert values(by_tag(catalog, dataset, "t")) == {"y": integer(5)}


def test_a_bad_item_fails_alone(catalog, batch):
    dataset = dataset_id()
    twice = one_put(dataset, "good", x=integer(2))
    bad_literal = one_put(dataset, "a", x=integer(1))
    bad_literal.values[0].literal = b"\xff"
    results = put_all(batch, [
        one_put(dataset, "good", x=integer(1)), twice, message("CatalogPut")(), one_put(dataset, "", x=integer(1)),
        one_put(dataset, "none"), bad_literal])
    assert [r.code for r in results] == [0, 0, 3, 3, 3, 3]
    assert results[1].existed and results[1].artifact_id == results[0].artifact_id
    assert [r.error for r in results[2:5]] == ["missing key", "missing tagName", "missing artifactData"]
    entries = get_all(batch, message("CatalogKey")(), key_of(dataset, "good"), key_of(dataset, "a"))
    assert [(e.code, e.error) for e in entries] == [(3, "missing dataset"), (0, ""), (5, "no such tag")]
    refused(batch.BatchGet, message("BatchGetRequest")(keys=[key_of(dataset, "t")] * 1001), CODES.INVALID_ARGUMENT)
    assert len(get_all(batch)) == 0 and len(put_all(batch, [])) == 0


def test_batches_that_cross_agree(batch):
    """The same tags in different orders, with and without overwriting: one artifact each, no deadlock."""
    dataset = dataset_id()
    tags = [f"t{i}" for i in range(60)]

    def client(i):
        order = tags[::-1] if i % 2 else tags
        return put_all(batch, [one_put(dataset, t, overwrite=i % 3 == 0, x=integer(i)) for t in order])

    for results in together(12, client):
        assert {r.code for r in results} == {0} and all(r.artifact_id for r in results)
    entries = get_all(batch, *[key_of(dataset, t) for t in tags])
    assert {e.code for e in entries} == {0}


def test_reservations_in_batches(catalog, batch):
    ids = [reservation_id(f"t{i}") for i in range(40)]

    def item(id, owner, ms=5000):
        return message("CatalogReserve")(key=key_of(id.dataset_id, id.tag_name), owner_id=owner,
                                         heartbeat_interval=milliseconds(ms))

    def ask(owner, order):
        return batch.BatchReserve(message("BatchReserveRequest")(reserves=[item(i, owner) for i in order])).reservations

    answers = together(10, lambda n: ask(f"o{n}", ids if n % 2 else ids[::-1]))
    for i in range(len(ids)):
        assert len({(a if n % 2 else a[::-1])[i].owner_id for n, a in enumerate(answers)}) == 1
    owner = reserve(catalog, ids[0], "x").owner_id
    assert owner == answers[1][0].owner_id
    batch.BatchRelease(message("BatchReleaseRequest")(releases=[item(ids[0], owner), item(ids[1], "nobody")]))
    assert reserve(catalog, ids[0], "x").owner_id == "x"
    assert reserve(catalog, ids[1], "x").owner_id != "x"
    # Two nodes of one batch want the same: the first has it.
    id = reservation_id()
    got = batch.BatchReserve(message("BatchReserveRequest")(
        reserves=[item(id, "a"), item(id, "b"), message("CatalogReserve")(), item(id, "")])).reservations
    assert [(r.code, r.owner_id) for r in got] == [(0, "a"), (0, "a"), (3, ""), (3, "")]


# ---- two daemons, health, bad input ----

def test_two_daemons_are_one_catalog(new_stack):
    s = new_stack(datacatalogs=2)
    one, two = (s.stub(DataCatalogStub, n) for n in ("datacatalog", "datacatalog-2"))
    dataset = make_dataset(one)
    id = make_artifact(two, dataset, tag="t", x=text("x" * 50000))
    assert by_tag(one, dataset, "t") == by_id(two, dataset, id)
    assert "datacatalog-2" in s.run("status")

    for _ in range(3):
        reservation = reservation_id()
        owners = {r.owner_id for r in together(CLIENTS, lambda i: reserve((one, two)[i % 2], reservation, f"o{i}", 5000))}
        assert len(owners) == 1
    lost = dataset_id()
    made = together(20, lambda i: attempt((one, two)[i % 2].CreateDataset, dc.CreateDatasetRequest(dataset=dc.Dataset(id=lost))))
    assert sorted(made) == [CODES.ALREADY_EXISTS.name] * 19 + ["OK"]
    s.kill("datacatalog")
    assert by_tag(s.stub(DataCatalogStub, "datacatalog"), dataset, "t").id == id
    assert s.healthy("datacatalog") and s.metric("datacatalog", "datacatalog:hits") == 1


def attempt(call, request):
    try:
        call(request)
        return "OK"
    except grpc.RpcError as e:
        return e.code().name


@pytest.mark.parametrize("service", ["", "datacatalog.DataCatalog", "flyteidl.cacheservice.CacheService", "alula.Catalog"])
def test_health_answers_for_each_service(stack, service):
    stub = stack.stub(health_pb2_grpc.HealthStub, "datacatalog")
    assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING


def deep(levels):
    literal = integer(1)
    for _ in range(levels):
        literal = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[literal]))
    return literal


def test_deep_literals(catalog, batch):
    dataset = make_dataset(catalog)
    id = make_artifact(catalog, dataset, x=deep(40))
    assert values(by_id(catalog, dataset, id)) == {"x": deep(40)}
    raw = b"\x08\x01"
    for _ in range(3000):
        raw = b"\x12" + varint(len(raw) + 1 + len(varint(len(raw)))) + b"\x0a" + varint(len(raw)) + raw
    p = one_put(dataset, "t")
    p.values.add(name="x", literal=raw)
    result, = put_all(batch, [p])
    assert result.code == 3


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


@pytest.mark.parametrize("payload", [
    field(1, field(1, b"p\xff") + field(2, b"n") + field(3, b"d") + field(4, b"v")),
    field(1, field(1, b"p\0") + field(2, b"n") + field(3, b"d") + field(4, b"v")),
    field(1, b"\xff\xff"), b"\x0a\x7f", b"\x0b\x0c"])
def test_bytes_that_are_no_request(stack, payload):
    channel = stack.channel("datacatalog")
    call = channel.unary_unary("/datacatalog.DataCatalog/GetDataset", request_serializer=lambda b: b,
                               response_deserializer=lambda b: b)
    refused(call, payload, CODES.INVALID_ARGUMENT)


def test_large_data_and_too_large_answers(stack):
    catalog = DataCatalogStub(stack.channel("datacatalog", [("grpc.max_receive_message_length", -1)]))
    dataset = make_dataset(catalog)
    ids = [make_artifact(catalog, dataset, x=text(c * (24 << 20))) for c in "abc"]
    for id, c in zip(ids, "abc"):
        assert values(by_id(catalog, dataset, id))["x"].scalar.primitive.string_value == c * (24 << 20)
    page = dc.PaginationOptions(limit=2)
    assert len(catalog.ListArtifacts(dc.ListArtifactsRequest(dataset=dataset, pagination=page)).artifacts) == 2
    refused(catalog.ListArtifacts, dc.ListArtifactsRequest(dataset=dataset), CODES.RESOURCE_EXHAUSTED)
