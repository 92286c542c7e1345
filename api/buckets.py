"""Buckets, with the keys that the environment gives; and DEMs that lie in one."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from api.settings import BucketSettings

if TYPE_CHECKING:
    from processing.bucket import Bucket

SCHEME = "s3://"


def bucket_named(name: str) -> "Bucket":
    """The bucket of that name.

    Raises
    ------
    ValueError
        The environment has no keys, or wrong settings; says which.
    """
    from processing.bucket import Bucket

    try:
        settings = BucketSettings()
    except ValidationError as error:
        wrong = ", ".join(f"AWS_{str(one['loc'][-1]).upper()}: {one['msg']}" for one in error.errors())
        raise ValueError(wrong) from None
    if settings.access_key_id is None or settings.secret_access_key is None:
        raise ValueError("a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    return Bucket(
        name=name,
        region=settings.region or settings.default_region,
        endpoint=settings.endpoint_url,
        key_id=settings.access_key_id,
        secret=settings.secret_access_key,
        token=settings.session_token,
    )


def dem_source(dem: str | Path, cache: Path) -> str | Path:
    """What `Dem.open` takes: a DEM in a bucket by a folder of this machine that mirrors it, any other as it is.

    Parameters
    ----------
    cache
        Folder for all that was fetched; made when it is absent.

    Raises
    ------
    HeightsError
        The bucket has no such tiles, or does not let us.
    """
    if not str(dem).startswith(SCHEME):
        return dem
    from processing.dem_bucket import mirror
    from processing.errors import HeightsError

    name, _, prefix = str(dem).removeprefix(SCHEME).partition("/")
    try:
        bucket = bucket_named(name)
    except ValueError as error:
        raise HeightsError(f"{dem}: {error}") from None
    told = f"{bucket.endpoint}/{name}/{prefix}"
    last = prefix.rstrip("/").rpartition("/")[2] or name
    folder = cache.expanduser().absolute() / "dem" / hashlib.sha256(told.encode()).hexdigest()[:16] / last
    return mirror(bucket, prefix, folder)
