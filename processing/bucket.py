"""Objects of a bucket that speaks S3, by addresses that are signed beforehand.

Whoever holds the keys signs an address for one request on one object; a worker that is handed it needs no keys, no
settings and no library. That is also the one way to let many workers write the parts of one upload: obstore and the
object stores' own high-level clients keep an upload to one process.

Sources: Amazon S3 API reference (multipart upload); AWS Signature Version 4, "Authenticating Requests: Using Query
Parameters".
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from processing.errors import OutputError
from processing.exchange import Answer, exchange

VALID_S: Final = 86_400
"""Seconds for which a signed address may be used: longer than any one file takes."""

SCHEME: Final = "s3://"

_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, and who writes to it."""

    name: str
    region: str = "us-east-1"
    endpoint: str | None = None
    """``https://minio.example.org:9000``; None for Amazon's own of the region."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of a session, where the keys are temporary."""

    def __post_init__(self) -> None:
        if self.endpoint is not None and urlsplit(self.endpoint).scheme not in ("http", "https"):
            raise OutputError(
                f"bucket {self.name}: the endpoint {self.endpoint[:80]!r} is no http:// or https:// address"
            )

    def sign(
        self, method: str, key: str, query: Mapping[str, str] | None = None, *, now: datetime | None = None
    ) -> str:
        """The address by which one request can be made for a while, without keys."""
        host, base, path = self._place(key)
        time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{time[:8]}/{self.region}/s3/aws4_request"
        asked = {
            **(query or {}),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.key_id}/{scope}",
            "X-Amz-Date": time,
            "X-Amz-Expires": str(VALID_S),
            "X-Amz-SignedHeaders": "host",
        }
        if self.token is not None:
            asked["X-Amz-Security-Token"] = self.token
        line = "&".join(
            sorted(f"{quote(name, _UNRESERVED)}={quote(value, _UNRESERVED)}" for name, value in asked.items())
        )
        request = "\n".join((method, path, line, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"))
        to_sign = "\n".join(("AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()))
        secret = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/"), to_sign):
            secret = hmac.digest(secret, part.encode(), "sha256")
        return f"{base}{path}?{line}&X-Amz-Signature={secret.hex()}"

    def _place(self, key: str) -> tuple[str, str, str]:
        """Host, address of the host, and path of an object; by host name where it is Amazon's and can be one."""
        if self.endpoint is not None:
            base, name_in_path = self.endpoint.rstrip("/"), True
        elif "." in self.name:  # no certificate would fit
            base, name_in_path = f"https://s3.{self.region}.amazonaws.com", True
        else:
            base, name_in_path = f"https://{self.name}.s3.{self.region}.amazonaws.com", False
        parts = urlsplit(base)
        path = f"{parts.path}/{self.name}/{key}" if name_in_path else f"/{key}"
        return parts.netloc, f"{parts.scheme}://{parts.netloc}", quote(path, f"/{_UNRESERVED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFile:
    """An object of a bucket that is to be written."""

    bucket: Bucket
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    def beside(self, suffix: str) -> "BucketFile":
        """Another object whose key begins with this one's."""
        return BucketFile(bucket=self.bucket, key=f"{self.key}{suffix}")

    def address(self, method: str, **query: str) -> str:
        """A signed one, for a request of one kind."""
        return self.bucket.sign(method, self.key, query)

    def start(self) -> str:
        """Begin an upload in parts; its id.

        Raises
        ------
        OutputError
            The bucket does not let us, or cannot be reached; so for all below.
        """
        answer = exchange("POST", self.address("POST", uploads=""))
        found = _xml(answer).findtext("{*}UploadId")
        if not found:
            raise OutputError(f"{self}: the bucket began no upload; is its endpoint one of S3?")
        return found

    def part(self, upload: str, number: int) -> str:
        """Where a part is put, counted from 1."""
        return self.address("PUT", partNumber=str(number), uploadId=upload)

    def complete(self, upload: str, tags: Sequence[str]) -> None:
        """Let the object appear, of the parts with these tags."""
        root = Element("CompleteMultipartUpload")
        for number, tag in enumerate(tags, start=1):
            part = SubElement(root, "Part")
            SubElement(part, "PartNumber").text = str(number)
            SubElement(part, "ETag").text = tag
        answer = _xml(exchange("POST", self.address("POST", uploadId=upload), tostring(root)))
        if answer.tag.endswith("Error"):  # with status 200: the store began its answer before it knew
            raise OutputError(f"{self}: {answer.findtext('{*}Code')}: {answer.findtext('{*}Message')}")

    def abort(self, upload: str) -> None:
        """Drop an upload and its parts."""
        exchange("DELETE", self.address("DELETE", uploadId=upload), missing_is_fine=True)

    def delete(self) -> None:
        """Remove the object, if it is there."""
        exchange("DELETE", self.address("DELETE"), missing_is_fine=True)


def put(address: str, data: bytes) -> str:
    """Put an object or a part, by a signed address; its tag. The store checks that all bytes came as they left."""
    digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    return exchange("PUT", address, data, {"Content-MD5": digest}).headers.get("etag", "")


def get(address: str, start: int, length: int) -> bytes:
    """A range of an object, by a signed address.

    Raises
    ------
    OutputError
        Not all of it is there.
    """
    data = exchange("GET", address, headers={"Range": f"bytes={start}-{start + length - 1}"}).body
    if len(data) != length:
        raise OutputError(f"{address.partition('?')[0]}: {len(data)} of {length} bytes came; was it changed meanwhile?")
    return data


def _xml(answer: Answer) -> Element:
    try:
        found: Element = fromstring(answer.body)
    except (ParseError, DefusedXmlException):
        return Element("none")
    return found
