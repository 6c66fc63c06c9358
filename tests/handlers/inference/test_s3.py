"""Objects of S3 without boto3: signed as botocore signs, found where botocore finds, faults survived."""

import http.server
import json
import threading
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.session import Session
from handlers.inference.asset import s3 as s3_module
from handlers.inference.asset import sigv4
from handlers.inference.fake_s3 import ACCESS_KEY, SECRET_KEY, TOKEN, FakeS3, Fault, signature_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.surroundings import examples

CREDENTIALS = sigv4.Credentials(ACCESS_KEY, SECRET_KEY, TOKEN)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(
    key=keys,
    version=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    payload=st.binary(max_size=50),
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    method=st.sampled_from(["GET", "PUT"]),
)
def test_the_signature_is_the_one_that_botocore_makes(
    key: str, version: str | None, payload: bytes, region: str, method: str
) -> None:
    path = "/" + sigv4.quote(key, keep="/")
    query = f"versionId={sigv4.quote(version)}" if version else ""
    headers = sigv4.headers(
        method=method,
        host="bucket.s3.example",
        path=path,
        query=query,
        payload=payload,
        credentials=CREDENTIALS,
        region=region,
        timestamp="20261123T231500Z",
        extra={"content-type": "text/csv"},
    )
    given = headers.pop("authorization")
    url = f"https://bucket.s3.example{path}" + (f"?{query}" if query else "")
    assert given == signature_of(method, url, headers, payload, region)


def test_credentials_without_a_session_token_sign_without_it() -> None:
    headers = sigv4.headers(
        method="GET",
        host="h",
        path="/",
        query="",
        payload=b"",
        credentials=sigv4.Credentials("a", "b"),
        region="us-east-1",
        timestamp="20261123T231500Z",
    )
    assert "x-amz-security-token" not in headers


_session = Session()
_session.set_credentials("a", "b")


def _url_of_botocore(
    region: str, bucket: str, key: str, *, fips: bool = False, dualstack: bool = False
) -> str:
    """Where botocore sends a request, which never leaves."""
    config = Config(
        s3={"us_east_1_regional_endpoint": "regional"},
        use_fips_endpoint=fips,
        use_dualstack_endpoint=dualstack,
    )
    client = _session.create_client("s3", region_name=region, config=config)
    sent = []

    def catch(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(request.url)
        return AWSResponse(request.url, 200, {}, BytesIO())

    client.meta.events.register("before-send.s3.GetObject", catch)
    client.get_object(Bucket=bucket, Key=key)
    return sent[0]


@pytest.mark.parametrize(
    "region",
    [
        "us-east-1",
        "eu-central-1",
        "cn-north-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
        "eusc-de-east-1",
    ],
)
def test_an_object_is_looked_for_where_botocore_looks_for_it(region: str) -> None:
    for bucket in ("lake", "my.lake"):
        target = s3_module.locate(bucket, "a/b c+é.onnx", region, {})
        ours = f"{'https' if target.secure else 'http'}://{target.host}{target.path}"
        assert ours == _url_of_botocore(region, bucket, "a/b c+é.onnx")


def test_every_region_of_every_partition_gets_its_own_suffix() -> None:
    partitions = _session.get_component("data_loader").load_data("partitions")["partitions"]
    regions = [(name, each["outputs"]["dnsSuffix"]) for each in partitions for name in each["regions"]]
    assert len(regions) > 30
    for region, suffix in regions:
        if not region.endswith("-global"):
            assert s3_module.locate("lake", "k", region, {}).host == f"lake.s3.{region}.{suffix}"


@pytest.mark.parametrize(("fips", "dualstack"), [(True, False), (False, True), (True, True)])
def test_fips_and_dual_stack_endpoints_are_chosen_by_the_standard_variables(
    fips: bool, dualstack: bool
) -> None:
    environment = {"AWS_USE_FIPS_ENDPOINT": str(fips), "AWS_USE_DUALSTACK_ENDPOINT": str(dualstack).lower()}
    target = s3_module.locate("lake", "k", "us-gov-west-1", environment)
    expected = _url_of_botocore("us-gov-west-1", "lake", "k", fips=fips, dualstack=dualstack)
    assert f"https://{target.host}{target.path}" == expected


def test_an_endpoint_for_s3_comes_before_the_general_one() -> None:
    both = {"AWS_ENDPOINT_URL_S3": "https://s3.local:9000/base/", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    assert s3_module.locate("b", "k", "us-east-1", both) == (True, "s3.local:9000", "/base/b/k", "us-east-1")
    del both["AWS_ENDPOINT_URL_S3"]
    assert s3_module.locate("b", "k", "us-east-1", both) == (False, "127.0.0.1:4566", "/b/k", "us-east-1")


@given(key=keys, body=st.binary(max_size=100))
@settings(max_examples=examples(30))
def test_what_is_put_is_what_is_got_for_any_key(shared_store: FakeS3, key: str, body: bytes) -> None:
    client = s3_module.Client(shared_store.environment())
    client.put("lake", key, body, content_type="text/csv")
    assert client.get("lake", key) == body
    client.close()


@pytest.fixture(scope="module")
def shared_store() -> Iterator[FakeS3]:
    from handlers.inference.fake_s3 import serve

    with serve() as store:
        yield store


def test_a_version_of_an_object_is_read(s3: FakeS3) -> None:
    s3.objects["lake/k?versionId=a/b+="] = b"old"
    assert s3_module.Client(s3.environment()).get("lake", "k", version_id="a/b+=") == b"old"


def test_requests_share_one_connection(s3: FakeS3) -> None:
    s3.objects["lake/k"] = b"body"
    client = s3_module.Client(s3.environment())
    client.get("lake", "k")
    first = client._connection
    client.get("lake", "k")
    assert client._connection is first is not None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(503, b"<Error><Code>SlowDown</Code></Error>"),
        Fault(429),
        Fault(200, b"half", cut=True),
    ],
)
def test_a_passing_fault_is_survived(s3: FakeS3, fault: Fault) -> None:
    s3.objects["lake/k"] = b"body"
    s3.faults += [fault, fault]
    assert s3_module.Client(s3.environment()).get("lake", "k") == b"body"
    assert len(s3.requests) == 3


def test_a_fault_that_stays_is_told_after_a_few_attempts(s3: FakeS3) -> None:
    s3.faults += [Fault(503, b"<Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>")] * 9
    with pytest.raises(s3_module.S3Error, match="s3://lake/k: 503 SlowDown reduce your rate") as caught:
        s3_module.Client(s3.environment()).get("lake", "k")
    assert caught.value.status == 503
    assert len(s3.requests) == s3_module.ATTEMPTS


@pytest.mark.parametrize(("status", "advice"), [(403, "role may not read it"), (404, "no such object")])
def test_a_refusal_is_explained_and_not_tried_again(s3: FakeS3, status: int, advice: str) -> None:
    s3.faults.append(Fault(status, b"<Error><Code>Told</Code></Error>"))
    with pytest.raises(s3_module.S3Error, match=f"s3://lake/k: {status} Told.*{advice}") as caught:
        s3_module.Client(s3.environment()).get("lake", "k")
    assert caught.value.status == status
    assert len(s3.requests) == 1


def test_wrong_credentials_are_refused_by_the_store(s3: FakeS3) -> None:
    with pytest.raises(s3_module.S3Error, match="SignatureDoesNotMatch"):
        s3_module.Client(s3.environment(AWS_SECRET_ACCESS_KEY="other")).get("lake", "k")


def test_a_bucket_of_another_region_is_read_with_a_signature_for_that_region(s3: FakeS3) -> None:
    s3.objects["lake/k"] = b"body"
    s3.faults.append(Fault(301, headers={"x-amz-bucket-region": s3.region}))
    assert s3_module.Client(s3.environment(AWS_REGION="us-west-2")).get("lake", "k") == b"body"


def test_nobody_listening_is_told_with_the_address(nobody: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_BACKOFF_SECONDS", 0.0)
    client = s3_module.Client(FakeS3(port=nobody).environment())
    with pytest.raises(
        s3_module.S3Error, match=rf"s3://lake/k: no answer from 127\.0\.0\.1:{nobody}.*refused"
    ) as caught:
        client.get("lake", "k")
    assert caught.value.status == 0


def test_an_environment_without_credentials_is_told() -> None:
    with pytest.raises(s3_module.S3Error, match="no AWS credentials"):
        s3_module.Client({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).get("b", "k")


class _Sandbox(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        good = self.headers["Authorization"] == "secret" and self.path == "/2021-04-23/credentials"
        names = ("AccessKeyId", "SecretAccessKey", "Token")
        body = dict(zip(names, (ACCESS_KEY, SECRET_KEY, TOKEN), strict=True)) if good else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


def test_a_function_with_snapstart_asks_its_sandbox_for_credentials(s3: FakeS3) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Sandbox)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    s3.objects["lake/k"] = b"body"
    environment = s3.environment(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{server.server_port}/2021-04-23/credentials",
        AWS_CONTAINER_AUTHORIZATION_TOKEN="secret",
    )
    del environment["AWS_ACCESS_KEY_ID"]
    try:
        assert s3_module.Client(environment).get("lake", "k") == b"body"
        with pytest.raises(s3_module.S3Error, match="gave no credentials"):
            s3_module.Client({**environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "x"}).get("lake", "k")
    finally:
        server.shutdown()
        server.server_close()


def test_the_fake_store_looks_at_the_whole_path(s3: FakeS3) -> None:
    s3.objects["lake/a//b/../c"] = b"literal"
    assert s3_module.Client(s3.environment()).get("lake", "a//b/../c") == b"literal"
    assert urlsplit(s3.requests[0].split()[1]).path == "/lake/a//b/../c"
