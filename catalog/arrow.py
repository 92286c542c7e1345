"""Items as GeoParquet (stac-geoparquet 1.0) or as a stream of Arrow, in bounded memory.

Both say the types of all columns before or beside the first row, and JSON says them with the last Item only. So the
Items are read once, into batches that wait in a temporary file, each of the types that were known by then; when the
last one is known they are brought to the same types and written.

    pages ──► Rows.batch ──► temporary file ──► conformed ──► row groups
"""

import io
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet
import shapely

from catalog.arrow_columns import EDGES, doubles
from catalog.arrow_items import values
from catalog.arrow_layout import Batch, Outlines
from catalog.arrow_rows import COVER, Rows
from catalog.arrow_shape import GEOMETRY, JSON, fitter, storage

Pages = Callable[[], Iterator[Sequence[bytes]]]
"""Gives Items as JSON, some at a time."""

ROWS = 500
"""Of one batch: some 2 MB as text and as Arrow."""

FIRST_ROWS = 50

BYTES = 2**23
"""Of the Items of one batch, but for the last one of them."""

THREADS = min(4, os.cpu_count() or 1)
"""That read batches ahead; each holds some 5 MB."""

GROUP = 10
"""Batches of one row group of a Parquet file."""

_GEOARROW = {
    b"ARROW:extension:name": b"geoarrow.wkb",
    b"ARROW:extension:metadata": b'{"crs":"OGC:CRS84","crs_type":"authority_code"}',
}


def parquet_chunks(pages: Pages, *, collections: Sequence[bytes] = ()) -> Iterator[bytes]:
    """A GeoParquet 1.1 file, piece by piece; the first one comes when the last Item is read.

    The documents of the collections go into the file's metadata.
    """
    with _waiting(pages) as (rows, waiting):
        schema, sink = _with_metadata(_final(rows.layout.schema), rows.outlines, collections), _Sink()
        with pa.parquet.ParquetWriter(sink, schema, compression="zstd", compression_level=3) as writer:
            while group := list(islice(waiting, GROUP)):
                writer.write_table(pa.Table.from_batches([_conformed(batch, schema) for batch in group]))
                yield sink.take()
        yield sink.take()


def arrow_chunks(pages: Pages, *, collections: Sequence[bytes] = ()) -> Iterator[bytes]:
    """The same columns as an Arrow IPC stream, piece by piece."""
    with _waiting(pages) as (rows, waiting):
        schema, sink = _final(rows.layout.schema), _Sink()
        schema = schema.with_metadata({b"stac-geoparquet": _about(collections)})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, schema, options=options) as writer:
            for batch in waiting:
                writer.write_batch(_conformed(batch, schema))
                yield sink.take()
        yield sink.take()


class _Sink(io.RawIOBase):
    """What is written to it is handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - anything with bytes in it
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        """All that came since the last time."""
        taken, self._parts = b"".join(self._parts), []
        return taken


@contextmanager
def _waiting(pages: Pages) -> Iterator[tuple[Rows, Iterator[pa.RecordBatch]]]:
    """All Items as batches of the types known by then, in a file that nobody else sees."""
    rows, count = Rows(), 0
    with tempfile.TemporaryFile(prefix="overflight-") as file:
        for batch in _batches(rows, pages()):
            with pa.ipc.new_stream(file, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
                writer.write_batch(batch)
            count += 1
        file.seek(0)
        yield rows, _read_back(file, count)


def _batches(rows: Rows, pages: Iterator[Sequence[bytes]]) -> Iterator[pa.RecordBatch]:
    """In their order; while one is taken, the next ones are read by further threads, in the layout known by then."""
    parts = _cut(pages)
    yield from map(rows.take, islice(parts, 1))  # it tells the layout
    ahead: deque[tuple[list[bytes], Future[Batch | None]]] = deque()
    with ThreadPoolExecutor(THREADS) as threads:
        for items in parts:
            ahead.append((items, threads.submit(rows.layout.read_items, items)))
            if len(ahead) > THREADS:
                first, read = ahead.popleft()
                yield rows.take(first, read.result())
        for items, read in ahead:
            yield rows.take(items, read.result())


def _read_back(file: IO[bytes], count: int) -> Iterator[pa.RecordBatch]:
    for _ in range(count):
        with pa.ipc.open_stream(file) as reader:
            yield from reader


def _cut(pages: Iterator[Sequence[bytes]]) -> Iterator[list[bytes]]:
    """So many Items at a time that a batch is worth its overhead; first a few, which tell the types of most others."""
    some: list[bytes] = []
    size, most = 0, FIRST_ROWS
    for item in chain.from_iterable(pages):
        some.append(item)
        size += len(item)
        if len(some) == most or size > BYTES:
            yield some
            some, size, most = [], 0, ROWS
    if some:
        yield some


# --- types ---


def _final(schema: pa.Schema) -> pa.Schema:
    """As it is written: Parquet knows no struct without members (no assets at all: an Item's default)."""
    fields = [field.with_type(_writable(field.type)) for field in schema]
    empty = schema.field("assets").type.num_fields == 0 if pa.types.is_struct(schema.field("assets").type) else False
    fields = [field for field in fields if not (empty and field.name == "assets")]
    place = next(place for place, field in enumerate(fields) if field.name == "geometry")
    fields[place] = fields[place].with_metadata(_GEOARROW)
    return pa.schema(fields)


def _writable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_writable(field.type)) for field in kind]) if kind.num_fields else JSON
    return pa.list_(_writable(kind.value_type)) if pa.types.is_list(kind) else kind


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    held = {name: batch.column(place) for place, name in enumerate(batch.schema.names)}
    if COVER in schema.names:
        held[COVER] = _covers(held["geometry"])
    arrays = [conformed(held.get(field.name, pa.nulls(batch.num_rows)), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def conformed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values in a wider type: more members, doubles for whole numbers, JSON for anything."""
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if kind == JSON:
        fit = fitter(JSON)
        assert fit is not None
        return pa.array([fit(value) for value in values(array)], storage(JSON)).cast(JSON)
    if pa.types.is_struct(kind):
        names = {field.name: place for place, field in enumerate(array.type)}
        inner = [
            conformed(array.field(names[field.name]) if field.name in names else pa.nulls(len(array)), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(
            array.offsets, conformed(array.values, kind.value_type), kind, mask=array.is_null()
        )
    return array.cast(kind, safe=False)


def _covers(geometries: pa.Array) -> pa.StructArray:
    bounds = shapely.bounds(shapely.from_wkb(np.array(geometries.to_pylist(), dtype=object)))
    missing = np.isnan(bounds[:, 0])
    edges = [doubles(np.ascontiguousarray(bounds[:, place]), missing) for place in range(4)]
    return pa.StructArray.from_arrays(edges, names=EDGES[4], mask=geometries.is_null())


# --- metadata ---


def _with_metadata(schema: pa.Schema, outlines: Outlines, collections: Sequence[bytes]) -> pa.Schema:
    """Of GeoParquet 1.1 and stac-geoparquet 1.0; a column without a CRS is in OGC:CRS84, longitudes first."""
    cover = "bbox"
    if not outlines.is_covered:
        cover = COVER
        schema = schema.append(pa.field(COVER, pa.struct([(edge, pa.float64()) for edge in EDGES[4]])))
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(outlines.kinds),
        "covering": {"bbox": {edge: [cover, edge] for edge in EDGES[4]}},
    }
    if outlines.kinds and not any(kind.endswith(" Z") for kind in outlines.kinds):
        geometry["bbox"] = outlines.bounds.tolist()
    columns = {"geometry": geometry}
    if GEOMETRY in schema.names:  # in the CRS that each Item says
        columns[GEOMETRY] = {"encoding": "WKB", "geometry_types": [], "crs": None}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": columns}
    return schema.with_metadata({b"geo": orjson.dumps(geo), b"stac-geoparquet": _about(collections)})


def _about(collections: Sequence[bytes]) -> bytes:
    documents = [orjson.loads(document) for document in collections]
    about: dict[str, Any] = {"version": "1.0.0"}
    if documents:
        about["collections"] = {document["id"]: document for document in documents}
    return orjson.dumps(about)
