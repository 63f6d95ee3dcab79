"""The data proxy, and what answers without authentication. Source: flyteadmin dataproxy/service.go, pkg/common/flyte_url.go,
pkg/server/service.go (v1.16.8)."""
from facts.fact import BAD, DOMAIN, MISSING, PROJECT, Fact, literals, node_id, text

URL = "flyte://v1/facts/development/x-done/n0"
DAY = "86400s"
NOBODY = f'node_id:"nobody" execution_id:{{project:"{PROJECT}" domain:"{DOMAIN}" name:"x-base"}}'


def upload(**more):
    return dict({"project": PROJECT, "domain": DOMAIN, "filename": "f", "filename_root": "{u}"}, **more)


def link(**more):
    return dict({"artifact_type": "ARTIFACT_TYPE_DECK", "node_execution_id": node_id("n0", "x-done")}, **more)


def get(url, *args, **kwargs):
    return Fact("DataProxyService.GetData", {"flyte_url": url}, *args, **kwargs)


FACTS = [
    Fact("DataProxyService.CreateUploadLocation", upload(project=""), BAD, "project and domain are required parameters"),
    Fact("DataProxyService.CreateUploadLocation", upload(domain=""), BAD, "project and domain are required parameters"),
    Fact("DataProxyService.CreateUploadLocation", upload(filename_root=""), BAD,
         "content_md5 or filename_root is a required parameter"),
    Fact("DataProxyService.CreateUploadLocation", upload(expires_in=DAY), BAD,
         "expiresIn [24h0m0s] cannot exceed max allowed expiration [1h0m0s]"),
    Fact("DataProxyService.CreateUploadLocation", upload(),
         gives={"native_url": lambda u: u.endswith("/f") and "/facts/development/" in u, "signed_url": lambda u: u.startswith("http")}),
    Fact("DataProxyService.CreateUploadLocation", upload(filename="", filename_root="", content_md5="1B2M2Y8AsgTpgAmY7PhCfg=="),
         gives={"native_url": lambda u: "/2QOYZWMPACZAJ2MABGMOZ6CCPY======/" in u}),
    Fact("DataProxyService.CreateDownloadLocation", {"native_url": "{store}/deck.html", "expires_in": DAY}, BAD,
         "error while validating request: expiresIn is invalid. Error: input duration [24h0m0s] cannot exceed max allowed expiration "
         "[1h0m0s]"),
    Fact("DataProxyService.CreateDownloadLocation", {"native_url": "{store}/deck.html", "expires_in": "-1s"}, BAD,
         "error while validating request: expiresIn is invalid. Error: input duration [-1s] should not less than 0"),
    Fact("DataProxyService.CreateDownloadLocation", {"native_url": "{store}/deck.html"},
         gives={"signed_url": lambda u: u.startswith("http"), "expires_at": bool}),
    Fact("DataProxyService.CreateDownloadLink", {"node_execution_id": node_id()}, BAD,
         "error while validating request. Error: invalid artifact type [ARTIFACT_TYPE_UNDEFINED]"),
    Fact("DataProxyService.CreateDownloadLink", {"artifact_type": "ARTIFACT_TYPE_DECK"}, BAD,
         "error while validating request. Error: source is required. Provided nil"),
    Fact("DataProxyService.CreateDownloadLink", link(expires_in=DAY), BAD,
         "error while validating request. Error: expiresIn is invalid. Error: input duration [24h0m0s] cannot exceed max allowed "
         "expiration [1h0m0s]"),
    Fact("DataProxyService.CreateDownloadLink", link(node_execution_id=node_id("nobody")), BAD,
         f"failed to find node execution [{NOBODY}]. Error: missing entity of type node execution with identifier {NOBODY}"),
    Fact("DataProxyService.CreateDownloadLink", link(node_execution_id=node_id()), MISSING, ("no deckUrl found for request [",)),
    Fact("DataProxyService.CreateDownloadLink", link(), gives={
        "signed_url": [lambda u: u.startswith("http")], "pre_signed_urls": {"signed_url": [lambda u: u.startswith("http")]}}),
    get("", BAD, "failed to validate resolve artifact request. Error: source is required. Provided empty string"),
    get("s3://b/x", BAD, "failed to validate resolve artifact request. Error: request does not start with the correct prefix"),
    get("flyte://v1/a/b", BAD, "failed to parse artifact url Error: failed to parse [flyte://v1/a/b]"),
    get(f"{URL}/x", BAD, f"failed to parse artifact url Error: failed to parse [{URL}/x]"),
    get(f"{URL}/d/name", BAD, f"failed to parse artifact url Error: failed to parse [{URL}/d/name]"),
    get(f"{URL}/o", gives={"literal_map": literals(x=text("of the node"))}),
    get(f"{URL}/o/x", gives={"literal": text("of the node")}),
    get(f"{URL}/o/y", BAD, ("name [y] not found in node execution [",)),
    get(f"{URL}/0/o", gives={"literal_map": literals(x=text("of the task"))}),
    get(f"{URL}/0/i/x", gives={"literal": text("in")}),
    get(f"{URL}/0/o/y", BAD, ("name [y] not found in task execution [",)),
    get(f"{URL}/7/o", BAD, ("no task executions were listed [",)),
    get(f"{URL}/0/d", BAD, "deck type cannot be specified with a retry attempt, just use the node instead"),
    get(f"{URL}/d", gives={"pre_signed_urls": {"signed_url": [lambda u: u.startswith("http")]}}),
    get("flyte://v1/facts/development/x-done/nobody/o", MISSING, ("missing entity of type node execution",)),
    # Nobody to log in with.
    Fact("AuthMetadataService.GetOAuth2Metadata", {}, "UNIMPLEMENTED", "unknown service flyteidl.service.AuthMetadataService"),
    Fact("AuthMetadataService.GetPublicClientConfig", {}, "UNIMPLEMENTED", "unknown service flyteidl.service.AuthMetadataService"),
    Fact("IdentityService.UserInfo", {}, "UNIMPLEMENTED", "unknown service flyteidl.service.IdentityService"),
]
