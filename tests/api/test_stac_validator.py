"""The STAC community's own validator finds nothing to object to.

It runs in an environment of its own (`make .venv-validator/installed`): its pins are not ours.
"""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from catalog.extent import format_time
from catalog.search import BASE
from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-validator" / "bin" / "python"

# Named one by one: with its default list it crashes, and still exits with 0.
CLASSES = (
    "core", "browseable", "children", "collections", "features", "item-search", "filter",
    "item-search#sort", "item-search#fields", "features#sort", "features#fields",
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason="needs stac-api-validator: make .venv-validator/installed"),
]


def scenes():
    for number in range(120):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        scene = item(f"scene-{number:03}", geometry=box(number / 10, 0, number / 10 + 0.5, 1), at=format_time(at),
                     platform=f"hr-{number % 3}", **{"eo:cloud_cover": float(number % 100)})  # fmt: skip
        # An address of ours, since the validator asks for whatever a document links to.
        scene["assets"] = {"visual": {"href": f"{BASE}/stac", "type": "image/tiff", "roles": ["data"]}}
        yield {**scene, "stac_extensions": ["https://stac-extensions.github.io/eo/v2.0.0/schema.json"]}


@pytest.fixture
def client(serving, tmp_path):
    store = SqliteCatalog(tmp_path / "catalog.db")
    store.put([collection("scenes", title="Scenes"), collection("other"), *scenes()])
    yield serving(stac_app(store))
    store.close()


def validate(client, shared, *more):
    """Run it; gives what it said."""
    classes = [word for name in CLASSES for word in ("--conformance", name)]
    run = subprocess.run(
        [PYTHON, ROOT / "tests" / "api" / "offline_validator.py", "--root-url", str(client.base_url.join("/stac")),
         *classes, "--collection", "scenes", "--geometry", orjson.dumps(box(0, 0, 5, 1)).decode(),
         "--fields-nested-property", "properties.platform", *more],
        env={"SCHEMAS": str(shared / "schemas")}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return run.stdout + run.stderr


def test_the_validator_finds_no_errors(client, shared):
    said = validate(client, shared)
    assert "Errors: none" in said.splitlines(), said[-5000:]
    for part in ("Core", "Browseable", "Children", "Collections", "Features", "Item Search",
                 "Item Search - Filter Extension"):  # fmt: skip
        assert f"Validating STAC API - {part} conformance class" in said


def test_the_validator_looks(client, shared):
    """Without it, a run that looks at nothing would pass too."""
    assert "Errors: none" not in validate(client, shared, "--collection", "none").splitlines()
