"""Datacatalog's DataCatalog API: datasets, artifacts, tags, lists, as datacatalog v1.16 answers."""
import itertools
import os
import uuid

import grpc
import pytest
from flyteidl.core import literals_pb2
from flyteidl.datacatalog import datacatalog_pb2 as dc
from flyteidl.datacatalog.datacatalog_pb2_grpc import DataCatalogStub

counter = itertools.count()
CODES = grpc.StatusCode
EXISTS = 'value with matching already exists (ERROR: duplicate key value violates unique constraint "%s_pkey" (SQLSTATE 23505))'


@pytest.fixture(scope="module")
def catalog(stack):
    return stack.stub(DataCatalogStub, "datacatalog")


def unique(prefix="x"):
    return f"{prefix}{next(counter)}-{uuid.uuid4().hex[:8]}"


def integer(i):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=i)))


def text(s):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=s)))


def dataset_id(name=None, version="v1", project="p", domain="d", **more):
    return dc.DatasetID(project=project, domain=domain, name=name or unique("set"), version=version, **more)


def metadata(**pairs):
    return dc.Metadata(key_map=pairs)


def make_dataset(catalog, keys=(), id=None, **pairs):
    id = id or dataset_id()
    catalog.CreateDataset(dc.CreateDatasetRequest(dataset=dc.Dataset(id=id, metadata=metadata(**pairs), partitionKeys=keys)))
    return id


def data(**values):
    return [dc.ArtifactData(name=k, value=v) for k, v in values.items()]


def make_artifact(catalog, dataset, id=None, tag=None, partitions=None, pairs=None, **values):
    id = id or str(uuid.uuid4())
    catalog.CreateArtifact(dc.CreateArtifactRequest(artifact=dc.Artifact(
        id=id, dataset=dataset, data=data(**(values or {"o0": integer(1)})), metadata=metadata(**(pairs or {})),
        partitions=[dc.Partition(key=k, value=v) for k, v in (partitions or {}).items()])))
    if tag:
        add_tag(catalog, dataset, id, tag)
    return id


def add_tag(catalog, dataset, artifact, name):
    catalog.AddTag(dc.AddTagRequest(tag=dc.Tag(name=name, artifact_id=artifact, dataset=dataset)))


def by_tag(catalog, dataset, tag):
    return catalog.GetArtifact(dc.GetArtifactRequest(dataset=dataset, tag_name=tag)).artifact


def by_id(catalog, dataset, id):
    return catalog.GetArtifact(dc.GetArtifactRequest(dataset=dataset, artifact_id=id)).artifact


def values(artifact):
    return {d.name: d.value for d in artifact.data}


def refused(call, request, code, details=None):
    with pytest.raises(grpc.RpcError) as e:
        call(request)
    assert e.value.code() == code, e.value.details()
    if details is not None:
        assert e.value.details() == details
    return e.value.details()


# ---- datasets ----

def test_a_dataset_comes_back(catalog):
    id = make_dataset(catalog, ["b", "a"], **{"task-version": "7"})
    got = catalog.GetDataset(dc.GetDatasetRequest(dataset=id)).dataset
    uuid.UUID(got.id.UUID)
    assert (got.id.project, got.id.domain, got.id.name, got.id.version) == ("p", "d", id.name, "v1")
    assert list(got.partitionKeys) == ["b", "a"] and dict(got.metadata.key_map) == {"task-version": "7"}
    assert catalog.GetDataset(dc.GetDatasetRequest(dataset=got.id)).dataset == got


def test_a_dataset_keeps_the_uuid_it_is_given(catalog):
    wanted = str(uuid.uuid4())
    id = make_dataset(catalog, id=dataset_id(UUID=wanted))
    assert catalog.GetDataset(dc.GetDatasetRequest(dataset=dataset_id(id.name))).dataset.id.UUID == wanted
    refused(catalog.CreateDataset, dc.CreateDatasetRequest(dataset=dc.Dataset(id=dataset_id(UUID=wanted))),
            CODES.ALREADY_EXISTS)
    refused(catalog.CreateDataset, dc.CreateDatasetRequest(dataset=dc.Dataset(id=dataset_id(UUID="no"))),
            CODES.INVALID_ARGUMENT)
    refused(catalog.GetDataset, dc.GetDatasetRequest(dataset=dataset_id(id.name, UUID=str(uuid.uuid4()))),
            CODES.NOT_FOUND)


def test_a_dataset_is_made_once(catalog):
    id = make_dataset(catalog, first="1")
    refused(catalog.CreateDataset, dc.CreateDatasetRequest(dataset=dc.Dataset(id=id)), CODES.ALREADY_EXISTS,
            EXISTS % "datasets")
    assert catalog.GetDataset(dc.GetDatasetRequest(dataset=id)).dataset.metadata.key_map["first"] == "1"


def test_names_that_run_together_are_different_datasets(catalog):
    a = make_dataset(catalog, id=dataset_id("n", version=unique("v"), project="ab", domain="c"))
    refused(catalog.GetDataset, dc.GetDatasetRequest(dataset=dataset_id("n", a.version, project="a", domain="bc")),
            CODES.NOT_FOUND)


@pytest.mark.parametrize("id, missing", [
    (None, "dataset"), (dc.DatasetID(), "project"), (dc.DatasetID(project="p"), "domain"),
    (dc.DatasetID(project="p", domain="d"), "name"), (dc.DatasetID(project="p", domain="d", name="n"), "version")])
def test_what_misses_of_an_id_is_named(catalog, id, missing):
    error = f"missing {missing}"
    refused(catalog.GetDataset, dc.GetDatasetRequest(dataset=id), CODES.INVALID_ARGUMENT, error)
    refused(catalog.CreateDataset, dc.CreateDatasetRequest(dataset=dc.Dataset(id=id)), CODES.INVALID_ARGUMENT, error)
    refused(catalog.ListArtifacts, dc.ListArtifactsRequest(dataset=id), CODES.INVALID_ARGUMENT, error)
    refused(catalog.GetArtifact, dc.GetArtifactRequest(dataset=id, tag_name="t"), CODES.INVALID_ARGUMENT, error)


def test_partition_keys_are_unique(catalog):
    error = "invalid value for partitionKey, value:[Keys are not unique, occurrence count: map[a:2 b:1]]"
    request = dc.CreateDatasetRequest(dataset=dc.Dataset(id=dataset_id(), partitionKeys=["a", "b", "a"]))
    refused(catalog.CreateDataset, request, CODES.INVALID_ARGUMENT, error)
    request.dataset.id.project = ""
    refused(catalog.CreateDataset, request, CODES.INVALID_ARGUMENT, f"missing project, {error}")


def test_a_missing_dataset_is_named(catalog):
    id = dataset_id("nowhere")
    error = 'missing entity of type Dataset with identifier project:"p" name:"nowhere" domain:"d" version:"v1"'
    refused(catalog.GetDataset, dc.GetDatasetRequest(dataset=id), CODES.NOT_FOUND, error)
    refused(catalog.ListArtifacts, dc.ListArtifactsRequest(dataset=id), CODES.NOT_FOUND, error)
    artifact = dc.Artifact(id="a", dataset=id, data=data(x=integer(1)))
    refused(catalog.CreateArtifact, dc.CreateArtifactRequest(artifact=artifact), CODES.NOT_FOUND, error)
    refused(catalog.AddTag, dc.AddTagRequest(tag=dc.Tag(name="t", artifact_id="a", dataset=id)), CODES.NOT_FOUND, error)


# ---- artifacts and tags ----

def test_an_artifact_is_found_by_id_and_by_tag(catalog):
    dataset = make_dataset(catalog, ["day"])
    id = make_artifact(catalog, dataset, tag="t1", partitions={"day": "mon"}, pairs={"exec-node": "n0"},
                       a=integer(7), b=text("ü"))
    add_tag(catalog, dataset, id, "t2")
    got = by_tag(catalog, dataset, "t1")
    assert got == by_id(catalog, dataset, id) == by_tag(catalog, dataset, "t2")
    assert got == catalog.GetArtifact(dc.GetArtifactRequest(artifact_id=id)).artifact
    assert values(got) == {"a": integer(7), "b": text("ü")} and dict(got.metadata.key_map) == {"exec-node": "n0"}
    assert [(p.key, p.value) for p in got.partitions] == [("day", "mon")]
    assert [(t.name, t.artifact_id, t.dataset) for t in got.tags] == [("t1", id, got.dataset), ("t2", id, got.dataset)]
    assert got.dataset == catalog.GetDataset(dc.GetDatasetRequest(dataset=dataset)).dataset.id
    assert got.created_at.seconds > 0


@pytest.mark.parametrize("size", [10, 100000])
def test_data_lie_where_datacatalog_puts_them(catalog, stack, size):
    dataset = make_dataset(catalog)
    id = make_artifact(catalog, dataset, o0=text("x" * size), none=literals_pb2.Literal())
    path = f"{stack.store}/metadata/datacatalog/p/d/{dataset.name}/v1/{id}/o0/data.pb"
    with open(path, "rb") as f:
        assert literals_pb2.Literal.FromString(f.read()) == text("x" * size)
    assert values(by_id(catalog, dataset, id)) == {"o0": text("x" * size), "none": literals_pb2.Literal()}


def test_no_name_leaves_its_directory(catalog, stack):
    before = sorted(os.listdir(stack.store))
    id = dataset_id("../../..", version="a/../../b", project="..", domain=".")
    make_dataset(catalog, id=id)
    artifact = make_artifact(catalog, id, "../" * 9 + unique(), **{"../../x": integer(3), "%2e": integer(4), "y" * 3000: integer(5)})
    assert values(by_id(catalog, id, artifact)) == {"../../x": integer(3), "%2e": integer(4), "y" * 3000: integer(5)}
    assert sorted(os.listdir(stack.store)) == before
    assert os.listdir(f"{stack.store}/metadata/datacatalog/%2E%2E/%2E") == ["..%2F..%2F.."]


def test_an_artifact_is_made_once_and_its_data_stay(catalog):
    dataset = make_dataset(catalog)
    id = make_artifact(catalog, dataset, x=text("a" * 50000))
    refused(catalog.CreateArtifact, dc.CreateArtifactRequest(artifact=dc.Artifact(
        id=id, dataset=dataset, data=data(x=text("b" * 50000)))), CODES.ALREADY_EXISTS, EXISTS % "artifacts")
    assert values(by_id(catalog, dataset, id)) == {"x": text("a" * 50000)}
    other = make_dataset(catalog)
    make_artifact(catalog, other, id)
    assert by_id(catalog, other, id).dataset.name == other.name
    # Without a dataset it is the newest.
    assert catalog.GetArtifact(dc.GetArtifactRequest(artifact_id=id)).artifact.dataset.name == other.name


def test_tags_are_given_once(catalog):
    dataset, other = make_dataset(catalog), make_dataset(catalog)
    a, b = make_artifact(catalog, dataset, tag="t"), make_artifact(catalog, dataset)
    refused(catalog.AddTag, dc.AddTagRequest(tag=dc.Tag(name="t", artifact_id=b, dataset=dataset)), CODES.ALREADY_EXISTS,
            EXISTS % "tags")
    assert by_tag(catalog, dataset, "t").id == a
    c = make_artifact(catalog, other, tag="t")
    assert by_tag(catalog, other, "t").id == c


def test_bad_artifacts_and_tags(catalog):
    dataset = make_dataset(catalog)

    def artifact(error, **fields):
        request = dc.CreateArtifactRequest(artifact=dc.Artifact(**fields) if fields else None)
        refused(catalog.CreateArtifact, request, CODES.INVALID_ARGUMENT, error)

    artifact("missing artifact")
    artifact("missing dataset", id="a")
    artifact("missing artifactID", dataset=dataset)
    artifact("missing artifactData", dataset=dataset, id="a")
    artifact("missing artifactData[0] name", dataset=dataset, id="a", data=[dc.ArtifactData()])
    artifact("invalid value for artifactData, value:[x is there twice]", dataset=dataset, id="a",
             data=data(x=integer(1)) * 2)
    for tag, error in [(None, "missing tag"), (dc.Tag(), "missing dataset"), (dc.Tag(dataset=dataset), "missing tagName"),
                       (dc.Tag(dataset=dataset, name="t"), "missing artifactID")]:
        refused(catalog.AddTag, dc.AddTagRequest(tag=tag), CODES.INVALID_ARGUMENT, error)
    for call, kind in ((catalog.GetArtifact, dc.GetArtifactRequest), (catalog.UpdateArtifact, dc.UpdateArtifactRequest)):
        refused(call, kind(dataset=dataset), CODES.INVALID_ARGUMENT, "missing one of artifactID/tagName")
        refused(call, kind(dataset=dataset, artifact_id=""), CODES.INVALID_ARGUMENT, "missing artifactID")
        refused(call, kind(dataset=dataset, tag_name=""), CODES.INVALID_ARGUMENT, "missing tagName")
        refused(call, kind(tag_name="t"), CODES.INVALID_ARGUMENT, "missing dataset")


def test_missing_artifacts_are_named(catalog):
    dataset = make_dataset(catalog, id=dataset_id(unique("missing")))
    names = f'project:"p" name:"{dataset.name}" domain:"d" version:"v1"'
    artifact = f'missing entity of type Artifact with identifier id:"no" dataset:{{{names}}}'
    refused(catalog.GetArtifact, dc.GetArtifactRequest(dataset=dataset, artifact_id="no"), CODES.NOT_FOUND, artifact)
    refused(catalog.GetArtifact, dc.GetArtifactRequest(artifact_id="no"), CODES.NOT_FOUND)
    refused(catalog.AddTag, dc.AddTagRequest(tag=dc.Tag(name="t", artifact_id="no", dataset=dataset)), CODES.NOT_FOUND,
            artifact)
    tag = 'missing entity of type Tag with identifier name:"no"'
    refused(catalog.GetArtifact, dc.GetArtifactRequest(dataset=dataset, tag_name="no"), CODES.NOT_FOUND, tag)
    refused(catalog.UpdateArtifact, dc.UpdateArtifactRequest(dataset=dataset, tag_name="no", data=data(x=integer(1))),
            CODES.NOT_FOUND, tag)


def test_partitions_must_be_the_datasets(catalog):
    dataset = make_dataset(catalog, ["b", "a"])

    def attempt(error, *partitions):
        request = dc.CreateArtifactRequest(artifact=dc.Artifact(id="x", dataset=dataset, data=data(x=integer(1)), partitions=[
            dc.Partition(key=k, value=v) for k, v in partitions]))
        refused(catalog.CreateArtifact, request, CODES.INVALID_ARGUMENT, error)

    attempt('Partition key mismatch, dataset keys: [b a], artifact Partitions: [key:"a" value:"1"]', ("a", "1"))
    attempt("Artifact partition assignment does not match dataset partition keys: map[a:true b:false]", ("a", "1"), ("c", "2"))


def test_an_update_replaces_data_and_metadata(catalog, stack):
    dataset = make_dataset(catalog, ["k"])
    id = make_artifact(catalog, dataset, tag="t", partitions={"k": "v"}, pairs={"old": "1"}, a=integer(1), b=integer(2))
    base = f"{stack.store}/metadata/datacatalog/p/d/{dataset.name}/v1/{id}"
    answer = catalog.UpdateArtifact(dc.UpdateArtifactRequest(
        dataset=dataset, tag_name="t", data=data(b=integer(3), c=text("y" * 99999)), metadata=metadata(new="2")))
    assert answer.artifact_id == id
    got = by_id(catalog, dataset, id)
    assert values(got) == {"b": integer(3), "c": text("y" * 99999)} and dict(got.metadata.key_map) == {"new": "2"}
    assert [p.value for p in got.partitions] == ["v"] and [t.name for t in got.tags] == ["t"]
    assert sorted(os.listdir(base)) == ["a", "b", "c"] and os.listdir(f"{base}/a") == []
    catalog.UpdateArtifact(dc.UpdateArtifactRequest(artifact_id=id, data=data(d=integer(4))))
    got = by_id(catalog, dataset, id)
    assert values(got) == {"d": integer(4)} and not got.metadata.key_map
    refused(catalog.UpdateArtifact, dc.UpdateArtifactRequest(artifact_id=id), CODES.INVALID_ARGUMENT, "missing artifactData")


# ---- lists ----

def pages(call, kind, limit, order=dc.PaginationOptions.ASCENDING, **fields):
    token, found = "", []
    while True:
        answer = call(kind(pagination=dc.PaginationOptions(limit=limit, token=token, sortOrder=order), **fields))
        items = list(getattr(answer, "artifacts" if kind is dc.ListArtifactsRequest else "datasets"))
        assert answer.next_token == str(len(found) + len(items))
        if not items:
            return found
        assert len(items) <= limit
        found, token = found + items, answer.next_token


def filters(*each):
    return dc.FilterExpression(filters=each)


def with_tag(name):
    return dc.SinglePropertyFilter(tag_filter=dc.TagPropertyFilter(tag_name=name))


def with_partition(key, value):
    return dc.SinglePropertyFilter(partition_filter=dc.PartitionPropertyFilter(key_val=dc.KeyValuePair(key=key, value=value)))


def with_dataset(**property):
    return dc.SinglePropertyFilter(dataset_filter=dc.DatasetPropertyFilter(**property))


def test_artifacts_are_listed_in_pages(catalog):
    dataset = make_dataset(catalog)
    make_artifact(catalog, make_dataset(catalog))
    ids = [make_artifact(catalog, dataset, tag=f"t{i}", x=integer(i)) for i in range(7)]
    listed = pages(catalog.ListArtifacts, dc.ListArtifactsRequest, 3, dataset=dataset)
    assert [a.id for a in listed] == ids
    assert [values(a)["x"] for a in listed] == [integer(i) for i in range(7)]
    assert [[t.name for t in a.tags] for a in listed] == [[f"t{i}"] for i in range(7)]
    default = catalog.ListArtifacts(dc.ListArtifactsRequest(dataset=dataset))
    assert [a.id for a in default.artifacts] == ids[::-1] and default.next_token == "7"


def test_artifacts_are_filtered(catalog):
    dataset = make_dataset(catalog, ["day", "hour"])
    ids = {(d, h): make_artifact(catalog, dataset, tag=f"{d}{h}", partitions={"day": d, "hour": h})
           for d in ("mon", "tue") for h in ("1", "2")}

    def find(*each):
        return {a.id for a in pages(catalog.ListArtifacts, dc.ListArtifactsRequest, 2, dataset=dataset, filter=filters(*each))}

    assert find(with_partition("day", "mon")) == {ids["mon", "1"], ids["mon", "2"]}
    assert find(with_partition("day", "mon"), with_partition("hour", "2")) == {ids["mon", "2"]}
    assert find(with_tag("tue1")) == {ids["tue", "1"]}
    assert find(with_tag("tue1"), with_partition("day", "mon")) == set()
    assert find(with_partition("hour", "mon")) == set()
    wanted = dc.SinglePropertyFilter(artifact_filter=dc.ArtifactPropertyFilter(artifact_id=ids["tue", "2"]))
    assert find(wanted) == {ids["tue", "2"]}


def test_datasets_are_filtered_and_listed_in_pages(catalog):
    project, name = unique("project"), unique("name")
    for d, v in itertools.product(("dev", "prod"), "12345"):
        make_dataset(catalog, ["k"], id=dataset_id(name, v, project, d))

    def find(*each, **more):
        found = pages(catalog.ListDatasets, dc.ListDatasetsRequest, 4, filter=filters(*each), **more)
        assert all(list(x.partitionKeys) == ["k"] for x in found)
        return [x.id.domain + x.id.version for x in found]

    every = [d + v for d in ("dev", "prod") for v in "12345"]
    assert find(with_dataset(project=project)) == every
    assert find(with_dataset(name=name), order=dc.PaginationOptions.DESCENDING) == every[::-1]
    assert find(with_dataset(project=project), with_dataset(domain="prod")) == every[5:]
    assert find(with_dataset(name=name), with_dataset(version="3")) == ["dev3", "prod3"]
    assert find(with_dataset(name=name), with_dataset(name="other")) == []


def test_bad_filters_and_pages(catalog):
    dataset = make_dataset(catalog)
    artifacts = lambda *f, **p: (catalog.ListArtifacts, dc.ListArtifactsRequest(  # noqa: E731
        dataset=dataset, filter=filters(*f), pagination=dc.PaginationOptions(**p)))
    datasets = lambda *f, **p: (catalog.ListDatasets, dc.ListDatasetsRequest(  # noqa: E731
        filter=filters(*f), pagination=dc.PaginationOptions(**p)))
    bad = CODES.INVALID_ARGUMENT
    refused(*artifacts(with_dataset(name="x")), bad, "Artifact cannot be filtered by Dataset properties")
    refused(*datasets(with_tag("x")), bad, "Dataset cannot be filtered by Tag properties")
    refused(*datasets(with_partition("a", "b")), bad, "Dataset cannot be filtered by Partition properties")
    refused(*artifacts(with_tag("")), bad, "missing TagName")
    refused(*artifacts(with_partition("", "x")), bad, "missing PartitionKey")
    refused(*artifacts(with_partition("x", "")), bad, "missing PartitionValue")
    refused(*datasets(with_dataset(project="")), bad, "missing project")
    for listed in (artifacts, datasets):
        refused(*listed(dc.SinglePropertyFilter()), bad, "no such entity ")
        refused(*listed(token="x"), bad, "Invalid token value: x")
        refused(*listed(token="-1"), bad, "Invalid token value: -1")
        refused(*listed(token="99999999999"), bad, "Invalid token value: 99999999999")
    refused(*artifacts(*[with_tag("x")] * 33), bad)
    assert len(catalog.ListArtifacts(artifacts(*[with_tag("x'; --")] * 32)[1]).artifacts) == 0
