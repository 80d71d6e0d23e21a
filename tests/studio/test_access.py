"""Nobody gets in without the link, no other site's page gets anything done, and no path leaves the project."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.studio.conftest import BASE, act
from tomopicker.studio.access import MAX_BYTES, Access, stored_secret
from tomopicker.studio.app import create_app

ROUTES = [
    ("GET", "/"), ("GET", "/static/main.js"), ("GET", "/api/state"), ("GET", "/api/events"),
    ("GET", "/api/tomogram?name=TS_1&volume=raw&slab=50"), ("GET", "/api/brick?name=TS_1&volume=raw&slab=50"),
    ("POST", "/api/act"), ("POST", "/api/undo"), ("POST", "/api/start"), ("POST", "/api/open?kind=ball&file=a.csv"),
    ("GET", "/nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_answered_without_the_cookie(studio, access, method, path):
    with TestClient(create_app(studio, access), base_url=BASE, headers={"origin": BASE}) as stranger:
        assert stranger.request(method, path).status_code == 403
        wrong = stranger.request(method, path, headers={"cookie": f"{access.cookie}={'x' * 40}"})
        assert wrong.status_code == 403


def test_the_link_is_good_for_one_use(studio):
    heard = []
    access = Access(secret="s" * 40, on_used=heard.append)
    first = access.token
    with TestClient(create_app(studio, access), base_url=BASE, follow_redirects=False) as browser:
        answer = browser.get(f"/?token={first}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        said = answer.headers["set-cookie"].lower()
        assert "httponly" in said and "samesite=strict" in said and "path=/" in said
        assert browser.get("/api/state").status_code == 200
    with TestClient(create_app(studio, access), base_url=BASE, follow_redirects=False) as other:
        assert other.get(f"/?token={first}").status_code == 403
        assert heard == [access.token] and heard[0] != first
        assert other.get(f"/?token={heard[0]}").status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::2]:8000", ""])
def test_other_names_are_refused(client, host):
    """A name of another site that was made to point here (DNS rebinding)."""
    assert client.get("/api/state", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:1", "[::1]:80"])
def test_a_forwarded_port_is_fine(client, access, host):
    cookie = {"cookie": f"{access.cookie}={access.secret}"}
    headers = {"host": host, "origin": f"http://{host}", **cookie}
    assert client.post("/api/undo", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8001", "null", "https://localhost:8000"])
def test_other_origins_are_refused(client, origin):
    assert client.post("/api/undo", headers={"origin": origin}).status_code == 403
    assert client.get("/api/state", headers={"origin": origin}).status_code == 403


def test_a_change_needs_an_origin(studio, access):
    with TestClient(create_app(studio, access), base_url=BASE) as plain:
        plain.get(f"/?token={access.token}")
        assert plain.get("/api/state").status_code == 200
        assert plain.post("/api/undo").status_code == 403


def test_pages_load_nothing_from_elsewhere(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    text = client.get("/").text
    assert "http://" not in text and "https://" not in text and "<script>" not in text and " style=" not in text


def test_bodies_are_bounded(client):
    assert client.post("/api/act", content=b"x" * (MAX_BYTES + 1)).status_code == 413

    def chunks():
        for _ in range(MAX_BYTES // 65536 + 2):
            yield b"[" * 65536

    assert client.post("/api/act", content=chunks()).status_code == 413
    assert client.post("/api/act", content=b"[" * 100_000).status_code == 400


def test_the_cookie_outlives_the_server(tmp_path):
    path = tmp_path / ".studio" / "secret"
    first = stored_secret(path)
    assert len(first) >= 32 and stored_secret(path) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_behind_a_proxy(studio):
    access = Access(secret="s" * 40, base_path="/node/n1/99", hosts=frozenset({"portal.example"}))
    base = "https://portal.example"
    with TestClient(create_app(studio, access), base_url=base, headers={"origin": base}) as browser:
        answer = browser.get(f"/node/n1/99/?token={access.token}", follow_redirects=False)
        assert answer.headers["location"] == "/node/n1/99/"
        assert "path=/node/n1/99/" in answer.headers["set-cookie"].lower()
        assert browser.get("/node/n1/99/api/state").json()["kinds"][0]["name"] == "ball"
        # Some proxies take the path off themselves.
        cookie = {"cookie": f"{access.cookie}={access.secret}"}
        assert browser.get("/api/state", headers=cookie).status_code == 200


NASTY = st.one_of(
    st.sampled_from(
        ["../../etc/passwd", "..", "/etc/passwd", "TS_1/../../x", "TS_1.mrc", "..%2f", "a\x00b", "", ".studio/secret"]
    ),
    st.text(max_size=40),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NASTY, volume=NASTY)
def test_no_name_reaches_the_disk(client, studio, name, volume):
    """Whatever names a page sends, no file but the listed ones is read, and none is written outside the project."""
    folder = studio.project.folder
    before = sorted(folder.parent.rglob("*"))
    for path in ("tomogram", "section", "brick", "thumb", "points", "picks"):
        query = {
            "name": name, "tomogram": name, "volume": volume, "kind": "ball", "plane": "xy", "position": 0, "slab": 50,
            "low": 0, "high": 255, "x": 0, "y": 0, "z": 0, "diameter": 100,
        }  # fmt: skip
        if name not in studio.listing.files:
            assert client.get(f"/api/{path}", params=query).status_code in {400, 422}
    if name not in studio.listing.files:
        assert act(client, [(50, 50, 50)], tomogram=name).status_code == 400
    assert act(client, [(50, 50, 50)], kind=name).status_code == 400 or name == "ball"
    assert client.get("/api/log", params={"id": name}).status_code == 400
    assert sorted(folder.parent.rglob("*")) == before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NASTY)
def test_no_kind_leaves_the_project(client, studio, name):
    answer = client.post("/api/kind", json={"name": name, "diameter": 100})
    outside = [path for path in studio.project.folder.parent.iterdir() if path != studio.project.folder]
    assert answer.status_code in {200, 400, 422} and outside == []
    if answer.status_code == 200:
        made = answer.json()["name"]
        assert "/" not in made and made not in {".", "..", ""}
        studio.project.kinds.pop(made) if made != "ball" else None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries(
        {"kind": JSON | st.just("ball"), "tomogram": JSON | st.just("TS_1")}
        | dict.fromkeys(("added", "removed", "diameter", "name", "what", "id", "threshold", "refine"), JSON)
    )
)
def test_odd_bodies_are_refused_in_a_line(client, body):
    import json

    text = json.dumps(body, allow_nan=True)
    for route in ("act", "kind", "note", "stop", "cut", "save"):
        answer = client.post(f"/api/{route}", content=text)
        assert answer.status_code in {200, 400, 422}, answer.text
        if answer.status_code != 200:
            assert len(answer.json()["error"].splitlines()) == 1
