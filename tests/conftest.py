"""Fixtures that every room's tests share."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import PostgresMissingError, cluster

ROOT = Path(__file__).resolve().parent.parent

# No timed asserts: the first example may compile a kernel. What hypothesis sets in CI (no random choice) stays.
settings.register_profile("overflight", parent=settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("overflight")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real scenes, DEM, geoid, element sets and schemas that lie beside the project where they were put there."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real data in {folder.name}/ beside the project")
    return folder


@pytest.fixture(scope="session")
def postgres():
    """Make a fresh database with pgstac in it, in a PostgreSQL of the tests' own; gives its address."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(cluster())
        except PostgresMissingError as missing:
            pytest.skip(str(missing))
        yield running.create
