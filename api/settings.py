"""Everything that an installation can be told from outside: the only reader of the environment.

Each field is also an environment variable: ``OVERFLIGHT_PORT=9000``, ``OVERFLIGHT_DEM=/data/srtm.tif``.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from processing.names import DERIVED

_HTTP = TypeAdapter(AnyHttpUrl)


def _address(url: str) -> str:
    """Check that it is one, without a slash at its end: paths are put after it."""
    return str(_HTTP.validate_python(url)).rstrip("/")


def _database(url: str) -> str:
    """Check that it says which database; what else it says is libpq's."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ValueError("give a database of PostgreSQL, as postgresql://user:password@host:5432/name")
    return url


class Settings(BaseSettings):
    """Settings of one installation; an argument wins over the environment, which wins over the default."""

    model_config = SettingsConfigDict(env_prefix="OVERFLIGHT_", env_ignore_empty=True, frozen=True, extra="forbid")

    data: Path = Path("var")
    """Folder that holds everything the installation keeps; made when it is absent."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""

    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    public_url: Annotated[str, AfterValidator(_address)] | None = None
    """How clients reach this installation, where a proxy stands before it: ``https://example.org/overflight``."""

    embedded_worker: bool = True
    """Whether `overflight serve` also carries out the orders."""

    dem: Annotated[str, BeforeValidator(str)] | None = None
    """Heights for deliveries that bring none: a file, a folder of tiles, a pattern, or ``s3://…`` (docs/heights.md)."""

    dem_datum: str | None = None
    """What the DEM's heights are over: ``ellipsoid``, ``EGM96``, ``EGM2008``, ``EPSG:5720`` … Never guessed."""

    geoid: Path | None = None
    """Grid of geoid undulations, such as ``egm96_15.gtx``; none: the one that PROJ has for the datum."""

    fill_height: float | None = Field(default=None, allow_inf_nan=False)
    """Metres over the DEM's datum of ground that it does not know; none: such ground is an error."""

    cache: Path = Path("~/.cache/overflight")
    """Folder for what was fetched from elsewhere and can be fetched again: tiles of a DEM in a bucket."""

    derived: str = "pansharpened, reflectance, cloud-mask, quality-mask, accuracy"
    """What is made of every scene that has what it needs, separated by commas; empty for nothing but the scene."""

    dask_scheduler: str | None = None
    """``threads``: inside the worker; an address such as ``tcp://host:8786``: that cluster; none: a LocalCluster."""

    workers: int | None = Field(default=None, ge=1, le=1024)
    """Processes of the LocalCluster; none: as many as there are processors."""

    sandbox_rate: float = Field(default=3600.0, gt=0, le=1e9)
    """Seconds of the sandbox's clock in one second of ours: at 3600, tomorrow's pass is delivered in half a minute."""

    max_body_bytes: int = Field(default=8 * 2**20, ge=1024)
    """Largest request body; an area of 100,000 vertices fits into 8 MiB."""

    catalog: Annotated[str, AfterValidator(_database)] | None = Field(default=None, repr=False)
    """Where the catalog is kept: a database with PostGIS, ``postgresql://…``; none: a file in the data folder."""

    catalog_writes: bool = False
    """Whether the STAC API takes changes to the catalog; there is no login, so from whoever reaches it."""

    fleet_writes: bool = False
    """Whether /satellites takes changes to the fleet; there is no login, so from whoever reaches it."""

    cors_origins: str = "*"
    """Whose pages may read the catalog and its files in a browser: origins, separated by commas; empty for nobody's."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def derived_products(self) -> tuple[str, ...]:
        """The names in `derived`."""
        return tuple(name.strip() for name in self.derived.split(",") if name.strip())

    @model_validator(mode="after")
    def _derived_is_known(self) -> Self:
        for name in self.derived_products:
            if name not in DERIVED:
                raise ValueError(f"derived: {name!r} cannot be made; give some of {', '.join(DERIVED)}")
        return self

    @model_validator(mode="after")
    def _heights_are_declared(self) -> Self:
        if self.dem is not None and self.dem_datum is None:
            raise ValueError("dem_datum: a DEM needs its vertical datum: ellipsoid, EGM96, EGM2008 …")
        return self


class BucketSettings(BaseSettings):
    """Who writes to a bucket: the variables that every tool for S3 reads, such as ``AWS_ACCESS_KEY_ID``."""

    model_config = SettingsConfigDict(env_prefix="AWS_", env_ignore_empty=True, frozen=True, extra="ignore")

    access_key_id: str | None = Field(default=None, repr=False)
    secret_access_key: str | None = Field(default=None, repr=False)
    session_token: str | None = Field(default=None, repr=False)
    """Where the keys are temporary."""

    region: str | None = None
    default_region: str = "us-east-1"
    """Where there is no `region`."""

    endpoint_url: Annotated[str, AfterValidator(_address)] | None = None
    """Of a store that is not Amazon's: ``https://minio.example.org:9000``."""


def explain(error: ValidationError) -> str:
    """One line for a person: which setting, what was wrong."""
    problems = []
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")
        problems.append(f"OVERFLIGHT_{name.upper()}: {message}" if name else message)
    return "; ".join(problems)


def asks_for_telemetry() -> bool:
    """Whether the environment speaks of OpenTelemetry; where it does not, no request looks for it again and again."""
    return any(name.startswith("OTEL_") for name in os.environ)
