"""Signed addresses and the uploads made with them, against Amazon's documented example and a server that checks."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing import exchange
from processing.bucket import Bucket, BucketFile, get, put
from processing.errors import OutputError
from tests.s3_server import KEY_ID, SECRET, expected_signature, small_server

WHO = {"key_id": KEY_ID, "secret": SECRET}


@pytest.fixture
def store():
    with small_server() as (endpoint, kept):
        yield BucketFile(bucket=Bucket(name="scenes", endpoint=endpoint, **WHO), key="a folder/größe+1.tif"), kept


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(exchange.time, "sleep", lambda _: None)


def test_the_example_of_amazons_documentation():
    """ "Authenticating Requests: Using Query Parameters", Amazon S3 API reference."""

    class Documented(Bucket):
        def _place(self, key):
            return "examplebucket.s3.amazonaws.com", "https://examplebucket.s3.amazonaws.com", f"/{key}"

    bucket = Documented(
        name="examplebucket", key_id="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    )
    signed = bucket.sign("GET", "test.txt", now=datetime(2013, 5, 24, tzinfo=UTC))
    assert signed.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


@given(
    key=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40),
    query=st.dictionaries(st.sampled_from(["uploadId", "partNumber", "uploads"]), st.text(max_size=20), max_size=2),
    token=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
def test_any_key_and_query_is_signed_as_the_server_reads_it(key, query, token):
    bucket = Bucket(name="scenes", endpoint="http://127.0.0.1:9000", token=token, **WHO)
    parts = urlsplit(bucket.sign("PUT", key, query))
    target = f"{parts.path}?{parts.query}"
    assert parts.query.endswith(f"&X-Amz-Signature={expected_signature('PUT', target, parts.netloc, SECRET)}")


@pytest.mark.parametrize(
    ("name", "endpoint", "where"),
    [
        ("scenes", None, "https://scenes.s3.eu-west-3.amazonaws.com/k.tif"),
        ("my.scenes", None, "https://s3.eu-west-3.amazonaws.com/my.scenes/k.tif"),
        ("scenes", "http://127.0.0.1:9000/", "http://127.0.0.1:9000/scenes/k.tif"),
        ("scenes", "https://example.org/s3", "https://example.org/s3/scenes/k.tif"),
    ],
)
def test_where_a_bucket_is(name, endpoint, where):
    bucket = Bucket(name=name, region="eu-west-3", endpoint=endpoint, **WHO)
    assert bucket.sign("GET", "k.tif").startswith(f"{where}?X-Amz-Algorithm=")


def test_keys_are_shown_nowhere():
    bucket = Bucket(name="scenes", token="t0ken", **WHO)
    assert not any(secret in repr(bucket) for secret in (SECRET, KEY_ID, "t0ken"))
    assert SECRET not in bucket.sign("GET", "x")


def test_what_is_put_can_be_got(store):
    file, kept = store
    put(file.address("PUT"), b"0123456789")
    assert kept.objects == {"/scenes/a folder/größe+1.tif": b"0123456789"}
    assert get(file.address("GET"), 3, 4) == b"3456"
    with pytest.raises(OutputError, match="3 of 6 bytes came"):
        get(file.address("GET"), 7, 6)
    file.delete()
    file.delete()
    assert not kept.objects


def test_an_upload_appears_when_it_is_complete(store):
    file, kept = store
    begun = file.start()
    parts = [b"a" * (5 * 2**20), b"b" * 100]
    tags = [put(file.part(begun, number), part) for number, part in enumerate(parts, start=1)]
    assert not kept.objects
    file.complete(begun, tags)
    assert list(kept.objects.values()) == [b"".join(parts)]
    assert not kept.uploads


def test_an_upload_that_is_aborted_leaves_nothing(store):
    file, kept = store
    begun = file.start()
    put(file.part(begun, 1), b"a")
    file.abort(begun)
    file.abort(begun)
    assert not kept.objects
    assert not kept.uploads


def test_what_fails_for_a_moment_is_tried_again(store):
    file, kept = store
    kept.fail["PUT", "."] = [500, 503, 429]
    put(file.address("PUT"), b"x")
    assert len(kept.requests) == 4
    kept.fail["PUT", "."] = [503] * exchange.TRIES
    with pytest.raises(
        OutputError, match=r"PUT http://127.0.0.1:\d+/scenes/a%20folder/.*tif: 503 InternalError: as the"
    ):
        put(file.address("PUT"), b"x")


def test_what_is_refused_is_told_without_the_signature(store):
    file, kept = store
    wrong = Bucket(name="scenes", endpoint=file.bucket.endpoint, key_id=KEY_ID, secret="another")
    with pytest.raises(OutputError, match="403 SignatureDoesNotMatch: The signature does not match") as refused:
        BucketFile(bucket=wrong, key="x").start()
    assert "Signature=" not in str(refused.value)
    assert len(kept.requests) == 1


def test_a_store_that_regrets_after_it_said_200(store, monkeypatch):
    file, _ = store
    begun = file.start()
    regret = exchange.Answer(
        status=200, headers={}, body=b"<Error><Code>InternalError</Code><Message>no</Message></Error>"
    )
    monkeypatch.setattr("processing.bucket.exchange", lambda *_: regret)
    with pytest.raises(OutputError, match=r"s3://scenes/a folder/größe\+1.tif: InternalError: no"):
        file.complete(begun, ["x"])


def test_nobody_answers():
    bucket = Bucket(name="scenes", endpoint="http://127.0.0.1:9", **WHO)
    with pytest.raises(OutputError, match=r"POST http://127.0.0.1:9/scenes/x: no answer \(Connection refused\)"):
        BucketFile(bucket=bucket, key="x").start()


def test_an_endpoint_that_is_none():
    with pytest.raises(OutputError, match="'minio:9000' is no http:// or https:// address"):
        Bucket(name="scenes", endpoint="minio:9000", **WHO)
