"""Frame and pushbroom cameras for tests, and what they see by PROJ and scipy alone."""

import numpy as np
from pyproj import Transformer
from scipy.spatial.transform import Rotation

from processing.frame import FrameCamera
from processing.pushbroom import PushbroomCamera
from tests.processing.pushbroom import TO_ECEF, TO_GEODETIC, Pushbroom

LENS = {"radial": (-0.06, 0.02, -0.001), "tangential": (2e-4, -3e-4)}
ROWS_A_SECOND = 3000.0


def drone(*, lon=5.3, lat=44.1, height_m=900.0, heights_m=(450.0, 650.0), **changes) -> FrameCamera:
    """A picture of 240 × 320 pixels from some 400 m above the ground, tilted, through a bad lens."""
    given = {"omega_deg": 8.0, "phi_deg": -6.0, "kappa_deg": 35.0, "rows": 240, "columns": 320}
    interior = {"focal_px": 300.0, "principal": (117.0, 164.0), "heights_m": heights_m, **LENS}
    return FrameCamera.from_angles(lon=lon, lat=lat, height_m=height_m, **given | interior | changes)


def seen_by_proj(place, angles, interior, ground):
    """Column and row of ground points: PROJ's topocentric frame, scipy's angles, the lens in complex numbers."""
    topocentric = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=cart +ellps=WGS84 "
        f"+step +proj=topocentric +ellps=WGS84 +lon_0={place[0]} +lat_0={place[1]} +h_0={place[2]}"
    )
    local = np.stack(topocentric.transform(*ground), axis=-1)
    x, y, z = Rotation.from_euler("XYZ", angles, degrees=True).inv().apply(local).T
    w = (x - 1j * y) / -z  # the picture's y goes down, its z backwards
    (k1, k2, k3), (p1, p2) = interior["radial"], interior["tangential"]
    square = np.abs(w) ** 2
    lens = w * (1 + k1 * square + k2 * square**2 + k3 * square**3)
    lens += p2 * (square + 2 * w.real**2) + 2 * p1 * w.real * w.imag
    lens += 1j * (p1 * (square + 2 * w.imag**2) + 2 * p2 * w.real * w.imag)
    row0, col0 = interior["principal"]
    return col0 + interior["focal_px"] * lens.real, row0 + interior["focal_px"] * lens.imag


def walk_down(origin, direction, surface, *, start_m, end_m, step_m=1.0):
    """Where rays (n, 3) first meet a surface height(lon, lat): by steps, then by halving."""
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)

    def above(way):
        lon, lat, height = TO_GEODETIC.transform(*np.moveaxis(origin + way[..., None] * direction, -1, 0))
        return height - surface(lon, lat)

    ways = np.arange(start_m, end_m, step_m)
    hit = np.full(len(direction), np.nan)
    for way in ways:
        todo = np.isnan(hit)
        hit[todo & (above(np.full(len(direction), way)) <= 0)] = way
    low, high = hit - step_m, hit
    for _ in range(40):
        middle = (low + high) / 2
        below = above(middle) <= 0
        low, high = np.where(below, low, middle), np.where(below, middle, high)
    return TO_GEODETIC.transform(*np.moveaxis(origin + high[:, None] * direction, -1, 0))


def pixel_rays(camera: FrameCamera):
    """Directions (rows · columns, 3) of a frame camera's pixels; the lens is undone by fixed-point iteration."""
    row, col = np.indices((camera.rows, camera.columns)).reshape(2, -1).astype(float)
    x = wanted_x = (col - camera.principal[1]) / camera.focal_px
    y = wanted_y = (row - camera.principal[0]) / camera.focal_px
    (k1, k2, k3), (p1, p2) = camera.radial, camera.tangential
    for _ in range(200):
        square = x * x + y * y
        radial = 1 + k1 * square + k2 * square**2 + k3 * square**3
        x, y = (
            (wanted_x - 2 * p1 * x * y - p2 * (square + 2 * x * x)) / radial,
            (wanted_y - p1 * (square + 2 * y * y) - 2 * p2 * x * y) / radial,
        )
    return np.stack([x, y, np.ones_like(x)], axis=-1) @ camera.axes


def rigorous(
    oracle: Pushbroom, *, heights_m=(-100.0, 1500.0), margin=300, every=50, backwards=False
) -> PushbroomCamera:
    """The model of the independent camera: exactly its rays, but that its arc is made of cubics."""
    rows = np.arange(-margin, oracle.rows + margin + every, every, dtype=float)
    seconds = rows / ROWS_A_SECOND
    middle = (oracle.cols - 1) / 2
    place, axis = oracle.rays(rows, np.full(rows.size, middle))
    # A chord of a circle is parallel to the tangent at its middle; over some 100 km rounding does not show.
    chord = 50_000 / oracle.gsd_m
    ahead, behind = (oracle.rays(rows + way, np.full(rows.size, middle))[0] for way in (chord, -chord))
    forward = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1, keepdims=True)
    # The arc is a circle around the Earth's centre: its speed is the radius times the angle a row turns.
    speed = np.linalg.norm(place, axis=1, keepdims=True) * oracle.gsd_m / 6_378_137.0 * ROWS_A_SECOND
    aside = np.cross(axis, forward)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    down = np.cross(forward, aside)
    tilt = float(np.sum(axis * forward, axis=1)[0])
    upright = np.sqrt(1 - tilt**2)
    target = np.array(TO_ECEF.transform(oracle.lon, oracle.lat, 0.0))
    centre_row = (oracle.rows - 1) / 2
    distance = np.linalg.norm(target - oracle.rays(centre_row, middle)[0])
    half = oracle.cols / 2
    off = half * oracle.gsd_m / distance
    quaternions = np.roll(Rotation.from_matrix(np.stack([forward, aside, down], axis=-1)).as_quat(), 1, axis=1)
    quaternions[::2] *= -1  # q and -q are the same attitude
    line_rows = np.array([0.0, oracle.rows])
    return PushbroomCamera(
        rows=oracle.rows, columns=oracle.cols, heights_m=heights_m,
        line_rows=oracle.rows - line_rows[::-1] if backwards else line_rows,
        line_s=(line_rows[::-1] if backwards else line_rows) / ROWS_A_SECOND,
        ephemeris_s=seconds, position_m=place, velocity_m_s=speed * forward,
        attitude_s=seconds, quaternions=quaternions, look_middle=middle, look_half=half,
        along=np.array([tilt, 0.0, 0.02 * off**2]) / upright, across=np.array([0.0, off / upright]),
    )  # fmt: skip
