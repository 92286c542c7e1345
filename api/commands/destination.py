"""Where a command writes: a file, or an object of a bucket."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from processing.bucket import BucketFile


def destination(ctx: click.Context, param: click.Parameter, value: str) -> "Path | BucketFile":
    """A path, or ``s3://bucket/key`` with the keys that ``AWS_ACCESS_KEY_ID`` and its like name; for an option."""

    def wrong(message: str) -> NoReturn:
        raise click.BadParameter(message, ctx, param)

    scheme, mark, rest = value.partition("://")
    if not mark:
        path: Path = click.Path(dir_okay=False, path_type=Path).convert(value, param, ctx)
        return path
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key or key.endswith("/"):
        wrong(f"{value!r} is neither a file nor an object; write s3://bucket/folder/name.tif")
    from pydantic import ValidationError

    from api.settings import BucketSettings
    from processing.bucket import Bucket, BucketFile

    try:
        settings = BucketSettings()
    except ValidationError as error:
        wrong(", ".join(f"AWS_{str(one['loc'][-1]).upper()}: {one['msg']}" for one in error.errors()))
    if settings.access_key_id is None or settings.secret_access_key is None:
        wrong("a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    return BucketFile(
        bucket=Bucket(
            name=bucket,
            region=settings.region or settings.default_region,
            endpoint=settings.endpoint_url,
            key_id=settings.access_key_id,
            secret=settings.secret_access_key,
            token=settings.session_token,
        ),
        key=key,
    )
