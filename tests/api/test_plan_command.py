"""`overflight plan`: two orders want the same satellite at the same moment, and the later one is told so."""

from datetime import UTC, datetime, timedelta

from shapely.geometry import box

from api.installation import Installation
from api.settings import Settings
from catalog.extent import Footprint, TimeWindow
from tasking.customer import submit_order
from tasking.opportunity import find_opportunities
from tasking.order import Constraints

PLACE = Footprint.of(box(13.39, 47.41, 13.43, 47.43))
BESIDE = Footprint.of(box(13.49, 47.41, 13.53, 47.43))


def _submitted(installation: Installation, area: Footprint, window: TimeWindow) -> str:
    product = installation.product("sandbox-multispectral")
    return submit_order(
        installation.store,
        product,
        area=area,
        window=window,
        constraints=Constraints(),
        request={},
        user="test",
        now=datetime.now(UTC),
    ).id


def test_the_plan_is_shown_and_a_blocked_order_is_told_by_whom(tmp_path, overflight_here):
    with Installation.open(Settings(data=tmp_path)) as installation:
        product = installation.product("sandbox-multispectral")
        start = datetime.now(UTC)
        first = find_opportunities(
            PLACE,
            TimeWindow(start=start, end=start + timedelta(days=5)),
            product.satellites,
            max_off_nadir_deg=product.max_off_nadir_deg,
            min_sun_elevation_deg=product.min_sun_elevation_deg,
        )[0]
        window = TimeWindow(start=first.best - timedelta(minutes=8), end=first.best + timedelta(minutes=8))
        worker = installation.worker(brief=True)
        one = _submitted(installation, PLACE, window)
        assert worker.run_once()
        other = _submitted(installation, BESIDE, window)
        for _ in range(5):
            if installation.store.dossier(other).last.reason_code == "no_opportunity":
                break
            worker.run_once()
        attempt = installation.store.attempts(one)[0]
    shown = overflight_here("plan", "show", "--data", tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.count("\n") == 1
    assert attempt.id in shown.stdout
    assert attempt.satellite_id in shown.stdout
    why = overflight_here("plan", "explain", other, "--data", tmp_path)
    assert f"no time to turn: {attempt.id} of order {one}" in why.stdout
    taken = overflight_here("plan", "explain", one, "--data", tmp_path)
    assert attempt.id in taken.stdout
    assert "no pass" not in taken.stdout
    unknown = overflight_here("plan", "explain", "nobody", "--data", tmp_path)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.count("\n") == 1
