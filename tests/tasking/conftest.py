"""A fresh store, and a product to order."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasking.product import Product
from tasking.store import Store

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A database file at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def store(tmp_path, migrated) -> Iterator[Store]:
    path = tmp_path / "tasking.db"
    path.write_bytes(migrated.read_bytes())
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


@pytest.fixture
def product() -> Product:
    """The vendor chooses the pass."""
    return Product(
        id="test-product",
        title="Test",
        description="Test",
        provider="inbox",
        collection="test-scenes",
        max_area_km2=500.0,
        max_days=10.0,
        gsd_m=2.0,
    )
