"""The catalog's workload: made-up items of 3.76 kB and 300 bodies of each query, by the scripts beside the project."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.errors import LeftOutError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT.parent / "shared" / "bench" / "stac"
CACHE = ROOT / "build" / "bench"

COLLECTION = "hr-scenes"

QUERYABLES = {
    "$schema": "https://json-schema.org/draft/2019-09/schema",
    "type": "object",
    "properties": {"eo:cloud_cover": {"title": "Cloud cover", "type": "number"}},
}
"""What an operator tells pgstac, which sorts by the text of a property that it does not know to be a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Files of one size of it."""

    folder: Path
    count: int
    """Items."""

    @property
    def items(self) -> Path:
        """One STAC Item a line."""
        return self.folder / "items.ndjson"

    @property
    def collection(self) -> Path:
        """The Collection of all of them."""
        return self.folder / "collection.json"

    @property
    def queryables(self) -> Path:
        """What the queries sort by, for pgstac."""
        return self.folder / "queryables.json"

    def bodies(self, query: str) -> list[dict[str, Any]]:
        """What is posted to /search."""
        return [json.loads(line) for line in (self.folder / "q" / f"{query}.jsonl").open()]

    def item_paths(self) -> list[str]:
        """Paths of every 200th item, shuffled."""
        return (self.folder / "q" / "item.txt").read_text().split()

    def documents(self) -> Iterator[dict[str, Any]]:
        """Every Item."""
        with self.items.open("rb") as file:
            yield from map(json.loads, file)


def make(count: int) -> Workload:
    """Write the files, unless an earlier run did."""
    if not SCRIPTS.is_dir():
        raise LeftOutError("needs the workload's scripts, shared/bench/stac beside the project")
    folder = CACHE / f"stac-{count}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for script, *arguments in (("gen.py", str(count)), ("mkq.py",)):
            subprocess.run([sys.executable, str(SCRIPTS / script), *arguments], cwd=unfinished, check=True)
        (unfinished / "queryables.json").write_text(json.dumps(QUERYABLES))
        unfinished.rename(folder)
    return Workload(folder=folder, count=count)


def copied(workload: Workload, folder: Path, collection: str) -> Workload:
    """The same items in a collection of another name; there are no bodies for it."""
    old, new = f'"collection":"{COLLECTION}"'.encode(), f'"collection":"{collection}"'.encode()
    copy = Workload(folder=folder, count=workload.count)
    with workload.items.open("rb") as source, copy.items.open("wb") as target:
        target.writelines(line.replace(old, new) for line in source)
    document = json.loads(workload.collection.read_bytes())
    copy.collection.write_text(json.dumps(document | {"id": collection}))
    return copy
