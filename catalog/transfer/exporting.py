"""Items in bulk out of a catalog: a file appears under its name when it is whole, not before."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from catalog.errors import CatalogError
from catalog.paging import all_items
from catalog.search import BASE, Search, View
from catalog.transfer.importing import Progress

AT_ONCE = 1_000

FORMATS = ("ndjson", "geoparquet", "static")


def format_of(target: Path) -> str:
    """The format that a name asks for; a folder is static STAC."""
    if target.suffix in (".ndjson", ".jsonl", ".geojsonl"):
        return "ndjson"
    return "geoparquet" if target.suffix in (".parquet", ".geoparquet") else "static"


def export_items(
    view: View, search: Search, target: Path, form: str, *, files: str | None = None, progress: Progress | None = None
) -> int:
    """Write all items that a search finds, and say how many.

    ``files`` is the address below which whoever reads them finds the files of this installation.

    Raises
    ------
    CatalogError
        The target of a static catalog is there already; or the search is none.
    """
    if form == "static":
        return _static(view, search, target, files, progress)
    count = 0

    def counted() -> Iterator[Sequence[bytes]]:
        nonlocal count
        count = 0
        for page in pages(view, search, files):
            count += len(page)
            if progress is not None:
                progress("export", count, 0)
            yield page

    temporary = target.with_name(f".{target.name}.unfinished")
    try:
        with temporary.open("wb") as file:
            file.writelines(_ndjson(counted) if form == "ndjson" else _geoparquet(view, counted))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def pages(view: View, search: Search, files: str | None) -> Iterator[Sequence[bytes]]:
    """All items that a search finds, some at a time, with the address of their files in them."""
    ours = f"{BASE}/files".encode()
    there = ours if files is None else files.encode()
    for items in all_items(view, search, at_once=AT_ONCE):
        yield [item.replace(ours, there) for item in items]


def _ndjson(read: Callable[[], Iterator[Sequence[bytes]]]) -> Iterator[bytes]:
    return (b"\n".join(map(_without_tree, page)) + b"\n" for page in read())


def _geoparquet(view: View, read: Callable[[], Iterator[Sequence[bytes]]]) -> Iterator[bytes]:
    from catalog.arrow import parquet_chunks

    return parquet_chunks(
        lambda: ([_without_tree(item) for item in page] for page in read()), collections=view.collections()
    )


def _without_tree(body: bytes) -> bytes:
    """An Item without the links of our tree, which lead nowhere outside of this installation."""
    from catalog.document import TREE

    document = orjson.loads(body)
    document["links"] = [link for link in document["links"] if link["rel"] not in TREE]
    return orjson.dumps(document)


# --- static STAC ---


def _static(view: View, search: Search, target: Path, files: str | None, progress: Progress | None) -> int:
    """A catalog of files with relative links, which is read without any server (a self-contained catalog)."""
    if target.exists():
        raise CatalogError(f"{target}: it is there already; choose another folder")
    building = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(building, ignore_errors=True)
    count = 0
    names: dict[str, list[str]] = {}
    try:
        for page in pages(view, search, files):
            for body in page:
                item = orjson.loads(_without_tree(body))
                folder = building / _file_name(item["collection"]) / _file_name(item["id"])
                folder.mkdir(parents=True)
                _write_item(item, folder)
                names.setdefault(item["collection"], []).append(item["id"])
            count += len(page)
            if progress is not None:
                progress("export", count, 0)
        _write_collections(view, names, building)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return count


def _write_item(item: dict[str, Any], folder: Path) -> None:
    item["links"] += [
        _link("root", "../../catalog.json"),
        _link("parent", "../collection.json"),
        _link("collection", "../collection.json"),
    ]
    (folder / f"{folder.name}.json").write_bytes(orjson.dumps(item, option=orjson.OPT_INDENT_2))


def _write_collections(view: View, names: dict[str, list[str]], building: Path) -> None:
    from catalog.document import TREE

    building.mkdir(parents=True, exist_ok=True)
    for name, items in names.items():
        document = orjson.loads(view.get(name).body)
        document["links"] = [link for link in document["links"] if link["rel"] not in TREE] + [
            _link("root", "../catalog.json"),
            _link("parent", "../catalog.json"),
            *(_link("item", f"./{_file_name(item)}/{_file_name(item)}.json", "application/geo+json") for item in items),
        ]
        path = building / _file_name(name) / "collection.json"
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    root = {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "overflight",
        "description": "Exported from an Overflight catalog.",
        "links": [
            _link("root", "./catalog.json"),
            *(_link("child", f"./{_file_name(name)}/collection.json") for name in names),
        ],
    }
    (building / "catalog.json").write_bytes(orjson.dumps(root, option=orjson.OPT_INDENT_2))


def _link(rel: str, href: str, media_type: str = "application/json") -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media_type}


def _file_name(name: str) -> str:
    """A name that every file system takes, different for different ids."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"%{ord(found.group()):x}%", name)
    return plain if not plain.startswith(".") else f"%{plain}"
