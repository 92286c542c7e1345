"""One order for one key, whoever is faster."""

import threading
from datetime import timedelta

import pytest

from catalog.extent import Footprint, TimeWindow
from tasking.customer import cancel_order, submit_order
from tasking.errors import IdempotencyError, InvalidOrderError
from tasking.idempotency import SubmissionKey
from tasking.order import Constraints, OrderStatus
from tasking.store import Store

SQUARE = {"type": "Polygon", "coordinates": [[[5, 44], [5.1, 44], [5.1, 44.1], [5, 44.1], [5, 44]]]}


@pytest.fixture
def order(product, now):
    """Order with a key."""

    def order(store, key, *, request=None, user="somebody", at=now, end=now + timedelta(days=3)):
        return submit_order(
            store,
            product,
            area=Footprint.from_geojson(SQUARE),
            window=TimeWindow(start=now, end=end),
            constraints=Constraints(),
            request=request or {"geometry": SQUARE, "datetime": "a/b"},
            user=user,
            now=at,
            key=key,
        )

    return order


def test_the_same_order_sent_again_is_one(store, order):
    first = order(store, "k")
    assert order(store, "k") == first
    assert len(store.orders().orders) == 1
    assert len(store.open_steps(first.id)) == len(store.open_steps())


def test_the_order_of_the_body_does_not_matter(store, order):
    first = order(store, "k", request={"geometry": SQUARE, "datetime": "a/b"})
    assert order(store, "k", request={"datetime": "a/b", "geometry": SQUARE}).id == first.id


def test_another_key_another_customer_or_none_is_another_order(store, order):
    ids = {order(store, "k").id, order(store, "l").id, order(store, "k", user="else").id, order(store, None).id}
    ids.add(order(store, None).id)
    assert len(ids) == 5


def test_another_body_is_refused_and_changes_nothing(store, order):
    order(store, "k")
    with pytest.raises(IdempotencyError, match="'k' was used for another order"):
        order(store, "k", request={"geometry": SQUARE, "datetime": "b/c"})
    assert len(store.orders().orders) == 1


def test_the_answer_is_the_order_as_it_stands(store, order, now):
    """Even after its time, when the same order would be refused."""
    first = order(store, "k")
    cancel_order(store, first.id, now=now)
    late = now + timedelta(days=30)
    again = order(store, "k", at=late)
    assert (again.id, again.status) == (first.id, OrderStatus.USER_CANCELLED)
    with pytest.raises(InvalidOrderError):
        order(store, "new", at=late)


def test_a_refused_order_leaves_its_key_free(store, order, now):
    with pytest.raises(InvalidOrderError):
        order(store, "k", end=now + timedelta(days=300))
    assert order(store, "k").status is OrderStatus.RECEIVED


@pytest.mark.parametrize("key", ["", " ", "two words", "ü", "x" * 256, "a\n"])
def test_what_is_no_key(store, order, key):
    with pytest.raises(IdempotencyError, match="1 to 255 visible ASCII characters"):
        order(store, key)
    assert not store.orders().orders


def test_many_at_the_same_moment_are_one(tmp_path, migrated, order):
    """From connections of their own, as the processes of a server have."""
    path = tmp_path / "shared.db"
    path.write_bytes(migrated.read_bytes())
    stores = [Store(f"sqlite:///{path}") for _ in range(6)]
    barrier, ids = threading.Barrier(6), []

    def send(store):
        barrier.wait()
        ids.append(order(store, "k").id)

    threads = [threading.Thread(target=send, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert len(stores[0].orders().orders) == 1
    for one in stores:
        one.close()


def test_whoever_comes_second_to_the_table_gets_the_order_of_the_first(store, order, now, monkeypatch):
    """On PostgreSQL both may look before either has written."""
    first = order(store, "k")
    seen = []

    def blind(connection, customer, key):
        seen.append(customer)
        return None if len(seen) <= 2 else real(connection, customer, key)

    from tasking import store as module

    real = module._submitted
    monkeypatch.setattr(module, "_submitted", blind)
    assert order(store, "k").id == first.id
    assert len(seen) == 3
    assert len(store.orders().orders) == 1


def test_a_digest_is_of_product_and_request():
    one, other = (SubmissionKey.of("k", product, {"a": 1}) for product in ("p", "q"))
    assert one.digest != other.digest
    assert one == SubmissionKey.of("k", "p", {"a": 1})
