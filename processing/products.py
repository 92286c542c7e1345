"""The rasters of one item: those of its scene on the map, and what is made of them.

multispectral ─► ortho ─┬─► clouds, where no mask was delivered ─┐
├─► faults ──────────────────────────────┴─► quality mask
├─► reflectance
panchromatic ──► ortho ─┴─► pansharpened
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from distributed import Client

from catalog.assets import AssetFolder
from catalog.item import Band
from processing.blocks import Progress, spooled
from processing.cloud import NAMES
from processing.dem import Dem
from processing.describe import Product
from processing.errors import NoDetailError
from processing.found_clouds import find_clouds
from processing.graph import OrthoResult, RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.judge import JudgedOrtho, orthorectify_and_judge, with_clouds
from processing.masks import CLOUDY, NODATA, OCCLUDED, SATURATED, SHADED, UNJUDGED
from processing.names import CLOUD_MASK, MULTISPECTRAL, PANCHROMATIC, PANSHARPENED, QUALITY_MASK, REFLECTANCE
from processing.pansharpen import pansharpen
from processing.reflectance import Sun, reflectance_factors, to_reflectance
from processing.scene import Scene, SceneRaster
from processing.sharpen import Recipe

_COLOURS: Final = {"red": "Red", "green": "Green", "blue": "Blue"}
"""GDAL's colour interpretation of a band's common name; all others are Undefined."""


@dataclass(slots=True, kw_only=True)
class Products:
    """Made one after the other, each under its key; they all appear when the stack is closed without an error."""

    scene: Scene
    heights: Dem
    assets: AssetFolder

    folder: str
    """Of the keys."""

    stack: ExitStack
    client: Client | None
    threads: int | None
    progress: Progress | None

    ortho: dict[str, OrthoResult] = field(default_factory=dict)
    """The scene's own rasters by their roles, and the cloud mask that was found."""

    judged: JudgedOrtho | None = None
    """The first picture, with what is wrong with its pixels."""

    made: list[Product] = field(default_factory=list)
    hrefs: dict[str, str] = field(default_factory=dict)
    """Addresses of the assets, by name."""

    steps: list[str] = field(default_factory=list)
    """What was done beside orthorectifying, for a person."""

    @property
    def picture(self) -> OrthoResult:
        """The one that the item shows."""
        return self.ortho[self.scene.rasters[0].role]

    @property
    def clouds(self) -> OrthoResult | None:
        """The mask that came with the scene or was found."""
        return self.ortho.get(CLOUD_MASK)

    def make(self, derived: Collection[str]) -> None:
        """Make the scene's own rasters, and what is asked for beside them where the scene has what it needs."""
        for raster, grid in self._grids():
            self._own(raster, grid, judge=QUALITY_MASK in derived and not self.ortho)
        steps = {
            CLOUD_MASK: self._find_clouds,
            QUALITY_MASK: self._quality_mask,
            REFLECTANCE: self._reflectance,
            PANSHARPENED: self._pansharpened,
        }
        for name, step in steps.items():
            if name in derived:
                step()

    def begin(self, name: str, extension: str = "tif", *, stack: ExitStack | None = None) -> Path:
        """Where to write an asset."""
        key = f"{self.folder}/{name}.{extension}"
        self.hrefs[name] = self.assets.href(key)
        return (stack or self.stack).enter_context(self.assets.writing(key))

    def _how(self, name: str) -> dict[str, Any]:
        """Where an asset is computed, and who is told how far it is."""

        def report(_: str, done: int, total: int) -> None:
            if self.progress:
                self.progress(name, done, total)

        return {"client": self.client, "threads": self.threads, "progress": report}

    def _grids(self) -> Iterator[tuple[SceneRaster, OutputGrid]]:
        """One CRS for all; a cloud mask lies on the pixels of the first picture."""
        first: OutputGrid | None = None
        for raster in self.scene.rasters:
            if first is not None and raster.role == CLOUD_MASK:
                yield raster, first
                continue
            shape = raster.height, raster.width
            grid = choose_grid(raster.rpc, shape, self.heights, crs=first.crs if first else None)
            first = first or grid
            yield raster, grid

    def _own(self, raster: SceneRaster, grid: OutputGrid, *, judge: bool) -> None:
        """Orthorectify what was delivered."""
        name, classes = raster.role, raster.role == CLOUD_MASK
        path = self.begin(name)
        how = {
            "raster": RawRaster(path=raster.path, rpc=raster.rpc, nodata=raster.nodata),
            "dem": self.heights,
            "grid": grid,
            "destination": path,
            "resampling": "nearest" if classes else "bilinear",
            "descriptions": tuple(band.name for band in raster.bands),
            "colours": _colours(raster.bands),
            "overviews": "nearest" if classes else "average",
            **self._how(name),
        }
        if judge:
            mask = self.stack.enter_context(spooled(path)) / "faults.tif"
            self.judged = orthorectify_and_judge(mask=mask, saturation=raster.saturation, **how)
            self.ortho[name] = self.judged.ortho
        else:
            self.ortho[name] = orthorectify(**how)
        self._add(
            name,
            path,
            self.ortho[name],
            bands=raster.bands,
            description="0 is clear, 1 is cloud, 255 is unknown." if classes else None,
            roles=("cloud", "data-mask") if classes else ("data",),
        )

    def _add(self, name: str, path: Path, ortho: OrthoResult, **more: Any) -> None:  # noqa: ANN401 - of Product
        self.made.append(Product(name=name, path=path, profile=ortho.profile, **more))

    def _sun(self) -> Sun | None:
        """None where it was night, or the scene does not say."""
        start, elevation = self.scene.acquired.start, self.scene.view.sun_elevation_deg
        if elevation is None or elevation <= 0 or start is None:
            return None
        return Sun(elevation_deg=elevation, acquired=start)

    def _find_clouds(self) -> None:
        raster, sun = self.scene.rasters[0], self._sun()
        names = [band.common_name for band in raster.bands]
        if self.clouds is not None or sun is None or self.scene.view.sun_azimuth_deg is None:
            return
        if not raster.is_calibrated or not set(NAMES) <= set(names):
            return
        path = self.begin(CLOUD_MASK)
        self.ortho[CLOUD_MASK] = find_clouds(
            self.picture,
            path,
            names=names,
            factors=reflectance_factors(raster.calibrations, sun, len(raster.bands)),
            view=self.scene.view,
            **self._how(CLOUD_MASK),
        )
        self._add(
            CLOUD_MASK,
            path,
            self.ortho[CLOUD_MASK],
            bands=(Band(name="clouds"),),
            description="0 is clear, 1 is cloud, 2 is the shadow of a cloud, 255 is unknown.",
            roles=("cloud", "cloud-shadow", "data-mask"),
        )
        self.steps.append("clouds and their shadows found in the picture itself")

    def _quality_mask(self) -> None:
        if self.judged is None:
            return
        path, faults = self.begin(QUALITY_MASK), self.judged.mask
        if self.clouds is None:
            faults.path.replace(path)
        else:
            with_clouds(faults.path, self.clouds.path, path, **self._how(QUALITY_MASK))
        flags = (NODATA, SATURATED, OCCLUDED) + ((CLOUDY, SHADED, UNJUDGED) if self.clouds else ())
        self._add(
            QUALITY_MASK,
            path,
            faults,
            bands=(Band(name="faults"),),
            description="One bit for each fault of a pixel of the picture: 0 is a good one, 1 shows nothing.",
            roles=tuple(flag.role for flag in flags if flag.role),
            flags=flags,
        )
        if self.judged.occluded_share:
            self.steps.append(f"{100 * self.judged.occluded_share:.2g} % of the pixels hidden by nearer terrain")

    def _reflectance(self) -> None:
        raster, sun = self.scene.raster(MULTISPECTRAL), self._sun()
        if raster is None or sun is None or not raster.is_calibrated:
            return
        path = self.begin(REFLECTANCE)
        source = self.ortho[MULTISPECTRAL]
        made = to_reflectance(source.path, path, calibrations=raster.calibrations, sun=sun, **self._how(REFLECTANCE))
        self._add(
            REFLECTANCE,
            path,
            OrthoResult(destination=path, profile=made.profile, grid=source.grid),
            bands=raster.bands,
            description="Reflectance is scale × number + offset; 1 is a white matt surface that lies flat.",
            roles=("data", "reflectance"),
        )
        self.steps.append("reflectance by the gains of the vendor, the sun's height and the Earth's distance to it")

    def _pansharpened(self) -> None:
        bands, pan = self.ortho.get(MULTISPECTRAL), self.ortho.get(PANCHROMATIC)
        raster, recipe = self.scene.raster(MULTISPECTRAL), Recipe()
        if raster is None or bands is None or pan is None:
            return
        try:
            with ExitStack() as trial:
                path = self.begin(PANSHARPENED, stack=trial)
                made = pansharpen(pan.path, bands.path, path, recipe=recipe, **self._how(PANSHARPENED))
                self.stack.push(trial.pop_all())
        except NoDetailError as error:
            self.steps.append(f"not pansharpened ({error})")
            return
        ortho = OrthoResult(destination=path, profile=made.profile, grid=pan.grid)
        self._add(PANSHARPENED, path, ortho, bands=raster.bands)
        self.steps.append(f"pansharpened by {recipe.method}")


def _colours(bands: tuple[Band, ...]) -> tuple[str, ...]:
    return tuple(_COLOURS.get(band.common_name or "", "Undefined") for band in bands) if len(bands) > 1 else ("Gray",)
