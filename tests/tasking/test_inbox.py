"""A folder into which vendors' deliveries are dropped."""

import fcntl
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shapely.geometry import box

from catalog.extent import Footprint, TimeWindow
from processing.errors import DeliveryError
from tasking.order import Attempt, AttemptStatus
from tasking.provider import Delivered, Pending
from tasking.provider.inbox import LOOK_AGAIN, Accepted, InboxProvider, Rejected
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.constellation import SATELLITES

NOW = datetime(2026, 6, 15, tzinfo=UTC)
WINDOW = TimeWindow(start=NOW, end=NOW + timedelta(days=20))
AREA = Footprint.of(box(10.0, 45.0, 10.003, 45.002))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A real delivery, of no order."""
    folder = tmp_path_factory.mktemp("made")
    acquire(SATELLITES[0], AREA, WINDOW, folder=folder)
    return folder


@pytest.fixture
def inbox(tmp_path) -> InboxProvider:
    return InboxProvider(tmp_path / "inbox", clock=lambda: NOW, settle_s=0)


@pytest.fixture
def home(tmp_path, inbox) -> Path:
    return tmp_path / "inbox"


def drop(home: Path, made: Path, name: str = "from the vendor", **changes) -> Path:
    folder = home / "drop" / name
    shutil.copytree(made, folder)
    manifest = json.loads((folder / "delivery.json").read_text())
    (folder / "delivery.json").write_text(json.dumps(manifest | changes))
    return folder


def attempt(number: int = 1, order: str = "order") -> Attempt:
    return Attempt(
        id=f"{order}.{number}",
        order_id=order,
        product_id="inbox",
        satellite_id=None,
        area=AREA,
        window=WINDOW,
        off_nadir_deg=None,
        status=AttemptStatus.PLANNED,
    )


def test_a_good_delivery_is_accepted_whole(inbox, home, made):
    dropped = drop(home, made, order="order")
    names = sorted(path.name for path in dropped.iterdir())
    (found,) = inbox.scan()
    assert isinstance(found, Accepted)
    assert (found.attempt, found.order) == (None, "order")
    assert found.folder.parent == home / "accepted"
    assert sorted(path.name for path in found.folder.iterdir()) == names
    assert not dropped.exists()
    assert inbox.scan() == ()
    assert inbox.accepted() == InboxProvider(home).accepted() == (found,)


def test_a_damaged_delivery_is_refused_whole_with_the_reason(inbox, home, made):
    dropped = drop(home, made)
    with (dropped / "ms.tif").open("r+b") as file:
        file.truncate(1000)
    (found,) = inbox.scan()
    assert isinstance(found, Rejected)
    assert found.folder == home / "rejects" / "from the vendor"
    assert "ms.tif" in found.reason
    assert (found.folder / "reason.txt").read_text().strip() in found.reason
    assert (found.folder / "pan.tif").read_bytes() == (made / "pan.tif").read_bytes()
    assert inbox.accepted() == ()
    assert list((home / "drop").iterdir()) == []


def test_refused_again_it_lies_beside_the_first(inbox, home, made):
    for _ in range(3):
        (drop(home, made) / "pan.tif").unlink()
        inbox.scan()
    names = sorted(path.name for path in (home / "rejects").iterdir())
    assert names == ["from the vendor", "from the vendor-2", "from the vendor-3"]


def test_a_folder_without_manifest_is_left_alone_until_it_is_complete(inbox, home, made):
    dropped = drop(home, made)
    (dropped / "delivery.json").rename(home / "later.json")
    assert inbox.scan() == ()
    (home / "later.json").rename(dropped / "delivery.json")
    assert len(inbox.scan()) == 1


def test_a_folder_that_is_still_being_copied_is_left_alone(home, made):
    patient = InboxProvider(home, settle_s=60)
    dropped = drop(home, made)
    os.utime(dropped / "pan.tif", (0, 0))  # as cp -p leaves it
    assert patient.scan() == ()
    assert dropped.is_dir()


def test_accepting_tells_where_or_why_not(inbox, home, made):
    assert inbox.accept(drop(home, made)).parent == home / "accepted"
    dropped = drop(home, made, id="another", gsd_m=-1)
    with pytest.raises(DeliveryError, match="gsd_m"):
        inbox.accept(dropped)
    assert not dropped.exists()
    assert (home / "rejects" / "from the vendor" / "reason.txt").is_file()
    with pytest.raises(DeliveryError, match="no folder"):
        inbox.accept(home / "drop" / "nothing")


def test_a_delivery_from_elsewhere_is_copied_and_stays(inbox, home, made, tmp_path):
    accepted = inbox.accept(made)
    assert accepted.parent == home / "accepted"
    assert (made / "pan.tif").is_file()
    broken = tmp_path / "broken"
    shutil.copytree(made, broken)
    (broken / "dem.tif").write_bytes(b"no raster")
    with pytest.raises(DeliveryError, match=r"dem\.tif"):
        inbox.accept(broken)
    assert (broken / "pan.tif").is_file()
    assert list((home / "rejects").iterdir()) == list((home / ".checking").iterdir()) == []


def test_the_same_delivery_twice_is_kept_once_and_another_of_its_id_is_refused(inbox, home, made):
    first = inbox.accept(drop(home, made))
    assert inbox.accept(drop(home, made)) == first
    assert list((home / "drop").iterdir()) == []
    with pytest.raises(DeliveryError, match="ids are unique"):
        inbox.accept(drop(home, made, license="other"))
    assert len(inbox.accepted()) == 1


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_an_id_that_is_no_name_is_refused(inbox, home, made, name):
    with pytest.raises(DeliveryError, match="id"):
        inbox.accept(drop(home, made, id=name))
    assert list((home / "accepted").iterdir()) == []


def test_a_link_in_the_drop_folder_is_not_followed(inbox, home, made):
    (home / "drop" / "link").symlink_to(made)
    assert inbox.scan() == ()
    assert made.is_dir()


def test_what_a_dead_process_was_checking_is_checked_again(inbox, home, made):
    dropped = drop(home, made)
    dropped.rename(home / ".checking" / "from the vendor~12ab34cd")
    (found,) = inbox.scan()
    assert isinstance(found, Accepted)


def test_two_processes_do_not_take_the_same_delivery(inbox, home, made):
    drop(home, made)
    with (home / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert inbox.scan() == ()
    assert len(inbox.scan()) == 1


def test_a_request_says_what_is_wanted(inbox, home):
    inbox.task(attempt())
    (path,) = (home / "requests").glob("*.json")
    wanted = json.loads(path.read_text())
    assert wanted["manifest"] == {"attempt": "order.1", "order": "order"}
    assert wanted["area"] == AREA.geojson
    assert TimeWindow.parse(wanted["window"]) == WINDOW
    before = path.stat().st_mtime_ns
    inbox.task(attempt())
    assert path.stat().st_mtime_ns == before
    inbox.cancel(attempt())
    inbox.cancel(attempt())
    assert not path.exists()
    assert (home / "requests" / "cancelled" / path.name).is_file()


def test_an_attempt_finds_its_own_delivery_before_one_of_its_order(inbox, home, made):
    assert inbox.poll(attempt()) == Pending(check_again=NOW + LOOK_AGAIN)
    of_order = inbox.accept(drop(home, made, id="b", order="order"))
    inbox.accept(drop(home, made, id="x", order="another"))
    inbox.accept(drop(home, made, id="y", order="order", attempt="order.2"))
    assert inbox.poll(attempt(1)) == Delivered(folder=of_order)
    own = inbox.accept(drop(home, made, id="c", attempt="order.1"))
    assert inbox.poll(attempt(1)) == Delivered(folder=own)
    assert inbox.poll(attempt(1, order="nobody")) == Pending(check_again=NOW + LOOK_AGAIN)


def test_the_newest_delivery_of_an_order_counts(inbox, home, made):
    inbox.accept(drop(home, made, id="z", order="order"))
    newest = inbox.accept(drop(home, made, id="a", order="order"))
    assert inbox.poll(attempt(2)) == Delivered(folder=newest)


def test_requests_of_odd_names_stay_inside(inbox, home):
    inbox.task(attempt(order="../../../etc/passwd"))
    assert sorted(path.name for path in home.parent.iterdir()) == ["inbox"]
    assert len(list((home / "requests").iterdir())) == 1
