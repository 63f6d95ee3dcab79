"""Alula's own batched catalog service, from proto/alula/catalog.proto by protoc; messages of the other files are flyteidl's."""
import os
import subprocess
import tempfile

import flyteidl.datacatalog.datacatalog_pb2  # noqa: F401  (its file must be in the pool first)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import duration_pb2, timestamp_pb2  # noqa: F401

from stack import REPOSITORY


def _file():
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"-I{REPOSITORY}/proto", f"--descriptor_set_out={out.name}", "alula/catalog.proto"],
                       check=True, cwd=f"{REPOSITORY}/proto", env=os.environ)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    descriptor_pool.Default().Add(files.file[0])
    return descriptor_pool.Default().FindFileByName("alula/catalog.proto")


_FILE = _file()


def message(name):
    return message_factory.GetMessageClass(_FILE.message_types_by_name[name])


class CatalogStub:
    """stub.BatchGet(request, timeout=...)"""

    def __init__(self, channel):
        service = _FILE.services_by_name["Catalog"]
        for m in service.methods:
            answer = message_factory.GetMessageClass(m.output_type)
            setattr(self, m.name, channel.unary_unary(f"/{service.full_name}/{m.name}",
                                                      request_serializer=lambda x: x.SerializeToString(),
                                                      response_deserializer=answer.FromString))
