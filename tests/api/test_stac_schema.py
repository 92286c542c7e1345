"""The OpenAPI description is true: whatever it allows, or forbids, is answered as it says, and never by a failure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import collection, item

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"


@pytest.mark.slow
@pytest.mark.parametrize("writes", [False, True], ids=["read-only", "with changes"])
def test_schemathesis(serving, tmp_path, writes):
    store = SqliteCatalog(tmp_path / "catalog.db")
    store.put([collection("scenes", title="Scenes"), *(item(f"{number}", gsd=number) for number in range(10))])
    client = serving(stac_app(store, writes=writes))
    run = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", str(client.base_url.join("/stac/api")),
         "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    store.close()
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr
    assert int(re.search(r"(\d+) generated, \1 passed", run.stdout)[1]) > 500
