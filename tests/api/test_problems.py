"""The table from errors to HTTP, and what no body may be."""

import json
import time

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import catalog.errors
import processing.errors
import tasking.errors
from api import problems
from api.limits import MAX_DEPTH, BodyLimits, nesting

INTERNAL = {tasking.errors.LeaseLostError}
"""Never leaves the worker."""


class Body(BaseModel):
    number: int
    more: dict = {}


@pytest.fixture
def app():
    app = FastAPI()
    problems.install(app)
    app.add_middleware(BodyLimits, max_bytes=100_000)

    @app.post("/body")
    def body(body: Body):
        return body

    return app


@pytest.fixture
def client(app, serving):
    return serving(app)


def test_every_error_of_every_room_has_its_line():
    rooms = (catalog.errors, processing.errors, tasking.errors)
    errors = {one for room in rooms for one in vars(room).values() if isinstance(one, type)}
    assert errors - INTERNAL == set(problems.PROBLEMS)


@pytest.mark.parametrize("error", problems.PROBLEMS, ids=lambda error: error.__name__)
def test_an_error_of_a_room_becomes_a_problem_document(app, client, error):
    @app.get("/raise")
    def fail():
        raise error("left.tif: no RPC; put left_RPC.TXT beside it")

    answer = client.get("/raise")
    status, kind, title = problems.PROBLEMS[error]
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"urn:overflight:problem:{kind}",
        "title": title,
        "status": status,
        "detail": "left.tif: no RPC; put left_RPC.TXT beside it",
    }


def test_a_subclass_answers_as_its_nearest_listed_parent(app, client):
    class Special(tasking.errors.InvalidOrderError):
        pass

    @app.get("/raise")
    def fail():
        raise Special("x")

    assert client.get("/raise").json()["type"] == "urn:overflight:problem:invalid-order"


def test_a_bug_tells_the_client_nothing_of_the_inside(app, client):
    @app.get("/raise")
    def fail():
        raise RuntimeError("secret path /srv/overflight")

    answer = client.get("/raise")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_unknown_routes_and_methods_are_problems_too(client):
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    assert "/nowhere" in answer.json()["detail"]
    answer = client.delete("/body")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_member_is_named(client):
    answer = client.post("/body", json={"number": "many"})
    assert answer.status_code == 400
    document = answer.json()
    assert document["type"] == "urn:overflight:problem:invalid-request"
    assert [one["pointer"] for one in document["errors"]] == ["body/number"]
    assert "body/number" in document["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_001, 413),
        (b"[" * 90_000, 400),
        (b'{"number":' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
        (b'{"number": 1, "more": {"a": "' + b"x" * 200_000 + b'"}}', 413),
        (b'{"number": NaN}', 400),
        (b'{"number": 1e999}', 400),
        (b'{"number": 1' + b"0" * 5000 + b"}", 400),
        (b'{"number": 1, "more": {"a": "\\ud800"}}', 400),
        (b'{"number": 1, "more": {"a": "\xff"}}', 400),
        (b'{"number": 1', 400),
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"{"', 400),
    ],
    ids=range(14),
)
def test_a_body_that_is_no_plain_json_is_refused(client, body, status):
    answer = client.post("/body", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_without_a_length_is_counted_as_it_comes(client):
    def endless():
        for _ in range(1000):
            yield b" " * 1000

    assert client.post("/body", content=endless()).status_code == 413


def test_a_good_body_arrives_whole(client):
    deep = json.loads("[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2))
    sent = {"number": 7, "more": {"[": "[[[{{{", '"': '\\"', "deep": deep}}
    assert client.post("/body", json=sent).json() == sent


@given(st.recursive(st.text() | st.integers(), lambda some: st.lists(some) | st.dictionaries(st.text(), some)))
def test_nesting_counts_what_a_parser_would(value):
    def depth(one):
        if isinstance(one, dict):
            return 1 + max(map(depth, one.values()), default=0)
        return 1 + max(map(depth, one), default=0) if isinstance(one, list) else 0

    assert nesting(json.dumps(value).encode()) == depth(value)
    assert nesting(json.dumps(value, ensure_ascii=False).encode()) == depth(value)


@pytest.mark.parametrize("body", [b'\\"' * 1_000_000, b'"' + b"\\" * 2_000_000, b'"[' * 1_000_000, b"[]" * 1_000_000])
def test_no_body_makes_the_count_slow(body):
    """A quadratic pattern would take hours here."""
    began = time.perf_counter()
    nesting(body)
    assert time.perf_counter() - began < 2
