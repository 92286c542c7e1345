"""One installation: everything that it keeps and everyone who works on it, put together in one place.

Below the data folder lie ``tasking.db`` (orders and work), ``catalog.db`` (items, unless PostgreSQL keeps them),
``assets/`` (their files), and in ``sandbox/`` and ``inbox/`` what providers deliver. Several processes may share it: a
server, workers, the command line.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from api.catalog_store import data_folder, open_catalog
from api.settings import Settings
from catalog.assets import AssetFolder
from catalog.errors import NotFoundError
from catalog.item import to_collection
from catalog.search import Catalog
from tasking.errors import UnknownProductError
from tasking.product import Product
from tasking.provider import Provider
from tasking.provider.sandbox.constellation import PRODUCTS, SATELLITES
from tasking.store import Store

if TYPE_CHECKING:  # who only takes or shows orders does not wait for what makes scenes
    from distributed import Client

    from processing.dem import Dem
    from tasking.provider.inbox import InboxProvider
    from tasking.worker import Progress, Worker

log = logging.getLogger("overflight.installation")

INBOX_PRODUCT = Product(
    id="inbox",
    title="Imagery of a vendor",
    description="The order is written to the inbox for the operator to pass on; the vendor chooses the pass, and the"
    " delivery dropped into the inbox fulfils it.",
    provider="inbox",
    collection="inbox-scenes",
    max_area_km2=100_000.0,
    max_days=365.0,
    gsd_m=0.5,
)
"""Passes are the vendor's own affair, so that it has no opportunities."""


class Installation:
    """The composition root. Open it, use its parts, close it."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        assets: AssetFolder,
        products: Mapping[str, Product],
    ) -> None:
        self.settings = settings
        self.store = store
        self.catalog = catalog
        self.assets = assets
        self.products = products
        self._closing = ExitStack()
        self._client: Client | None = None
        self._client_lock = threading.Lock()

    @property
    def data(self) -> Path:
        """The folder that holds everything."""
        return self.settings.data.expanduser().absolute()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the data folder, make what is missing there, and bring its tables up to date."""
        data = data_folder(settings)
        store = Store(f"sqlite:///{data / 'tasking.db'}")
        store.migrate()
        catalog = open_catalog(settings)
        installation = cls(
            settings=settings,
            store=store,
            catalog=catalog,
            assets=AssetFolder(data / "assets"),
            products={product.id: product for product in (*PRODUCTS, INBOX_PRODUCT)},
        )
        installation._closing.callback(catalog.close)
        installation._make_collections()
        return installation

    def _make_collections(self) -> None:
        """Every product's collection is there before its first item; one that is there stays as it is."""
        for product in self.products.values():
            try:
                self.catalog.view().get(product.collection)
            except NotFoundError:
                made = to_collection(product.collection, product.title, product.description, product.license)
                self.catalog.put([made.to_dict(include_self_link=False)])

    def product(self, product_id: str) -> Product:
        """One product.

        Raises
        ------
        UnknownProductError
            There is none of that id.
        """
        try:
            return self.products[product_id]
        except KeyError:
            known = ", ".join(sorted(self.products))
            raise UnknownProductError(f"product {product_id[:80]!r} is unknown; there are {known}") from None

    @cached_property
    def inbox(self) -> "InboxProvider":
        """Where vendors' deliveries come in; its drop folder is made on first use."""
        from tasking.provider.inbox import InboxProvider

        return InboxProvider(self.data / "inbox")

    @cached_property
    def providers(self) -> "Mapping[str, Provider]":
        """Who carries out attempts, by the name that products have for them."""
        from tasking.provider.sandbox.provider import SandboxProvider

        sandbox = SandboxProvider(self.data / "sandbox", rate=self.settings.sandbox_rate, satellites=SATELLITES)
        return {"sandbox": sandbox, "inbox": self.inbox}

    def dem(self) -> "Dem | None":
        """Heights for deliveries that bring none; None where none are set.

        Raises
        ------
        HeightsError
            The DEM that is set cannot be used: unreadable, or its vertical datum needs a geoid.
        """
        from processing.dem import Dem

        settings = self.settings
        if settings.dem is None:
            return None
        from api.buckets import dem_source

        source = dem_source(settings.dem, settings.cache)
        dem = Dem.open(
            source, vertical_datum=settings.dem_datum, geoid=settings.geoid, fill_height=settings.fill_height
        )
        if dem.fill_height is not None:
            log.warning("%s: %s", dem.surface.path.name, dem.filling)
        return dem

    def client(self) -> "Client | None":
        """The dask cluster, started or reached on first use; None means threads of this process."""
        address = self.settings.dask_scheduler
        if address == "threads":
            return None
        with self._client_lock:
            if self._client is None or self._client.status == "closed":
                from distributed import Client, LocalCluster

                logging.getLogger("distributed").setLevel(logging.ERROR)  # importing it has set it to INFO
                if address is not None:
                    self._client = Client(address, set_as_default=False)  # type: ignore[no-untyped-call]
                else:
                    cluster = LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=self.settings.workers,
                        threads_per_worker=1,
                        dashboard_address=None,
                        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # a second one on 8787 would complain
                        local_directory=str(self.data / "dask"),
                    )
                    self._client = Client(cluster, set_as_default=False)  # type: ignore[no-untyped-call]
            return self._client

    def worker(self, *, progress: "Progress | None" = None, brief: bool = False) -> "Worker":
        """A worker on this installation; many may run, here and in other processes.

        A brief one has one scene to make: it starts no LocalCluster for it, whose start takes longer than that.

        Raises
        ------
        HeightsError
            The DEM that is set cannot be used.
        """
        from tasking.worker import Worker

        return Worker(
            store=self.store,
            catalog=self.catalog,
            assets=self.assets,
            providers=self.providers,
            products=self.products,
            dem=self.dem(),
            client=(lambda: None) if brief and self.settings.dask_scheduler is None else self.client,
            inbox=self.inbox,
            progress=progress,
            derived=self.settings.derived_products,
        )

    def close(self) -> None:
        """End the cluster that was started here and give the connections back."""
        with self._client_lock:
            if self._client is not None:
                cluster = self._client.cluster
                self._client.close()  # type: ignore[no-untyped-call]
                if cluster is not None:
                    cluster.close()
                self._client = None
        self.store.close()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
