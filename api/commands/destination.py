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
    from api.buckets import bucket_named
    from processing.bucket import BucketFile

    try:
        return BucketFile(bucket=bucket_named(bucket), key=key)
    except ValueError as error:
        wrong(str(error))
