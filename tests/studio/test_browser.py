"""The studio as a person uses it, in Debian's Chromium: from the first click to the STAR file."""

import json
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from tests.cli.conftest import DIAMETER, VOXEL_SIZE
from tests.studio.conftest import FakeEngine, open_studio, wait_for, write_pick_folder
from tomopicker import io
from tomopicker.studio.access import Access
from tomopicker.studio.app import create_app
from tomopicker.studio.points import Point, write_points

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed: apt-get install chromium"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
SIZE = {"width": 1280, "height": 800}


class Server:
    """The application on a port of this machine, which can be stopped and started again."""

    def __init__(self, world, folder, base_path=""):
        self.world, self.folder = world, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.access = Access(secret="s" * 40, base_path=base_path)
        self.start()

    def start(self):
        self.engine = FakeEngine(self.world.truth)
        self.studio = open_studio(self.world, self.folder, self.engine)
        config = uvicorn.Config(
            create_app(self.studio, self.access), port=self.port, log_level="error", timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)

    def stop(self):
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(10)

    @property
    def link(self):
        return f"http://127.0.0.1:{self.port}{self.access.base_path}/?token={self.access.token}"

    def rows(self, folder="clicks", kind="ball", name="TS_1"):
        path = self.folder / folder / kind / f"{name}.csv"
        if not path.exists() or io.has_no_picks(path):
            return np.empty((0, 3))
        return io.read_picks(path, {name: self.studio.listing.frame(name)}).positions


class Forwarder:
    """A port of this machine whose bytes go to another one and back, as those of ``ssh -L`` do."""

    def __init__(self, to):
        self.to = to
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.open = [self.listening]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                self.open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Person:
    """A page, and what a person does with it."""

    def __init__(self, page, server):
        self.page, self.server = page, server
        page.set_default_timeout(90_000)  # Of a machine that others use too.
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def come(self):
        self.page.goto(self.server.link)
        self.until("window.studio?.model.brick?.isWhole")
        return self

    def until(self, condition):
        wait_for(lambda: self.page.evaluate(f"() => Boolean({condition})"))

    def place(self, plane, xyz):
        """Where a place (Å) is on the screen."""
        box = self.page.locator(f"#{plane}").bounding_box()
        dx, dy = self.page.evaluate(
            """async ([plane, place]) => {
                const { toScreen } = await import("./static/geometry.js");
                return toScreen(plane, place, studio.model.centre, studio.model.zoom);
            }""",
            [plane, [float(value) for value in xyz]],
        )
        return box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy

    def scroll_to(self, z):
        self.page.evaluate("(z) => { studio.model.cursor[2] = z; studio.model.onChange(); }", float(z))

    def click(self, xyz, **more):
        self.page.mouse.click(*self.place("xy", xyz), **more)

    def saved(self):
        self.until("studio.outbox.acts.length === 0")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def server(balls_world, tmp_path):
    running = Server(balls_world, tmp_path / "project")
    running.studio.project.add_kind("ball", DIAMETER)
    yield running
    running.stop()


@pytest.fixture
def person(browser, server):
    context = browser.new_context(viewport=SIZE)
    someone = Person(context.new_page(), server).come()
    yield someone
    assert someone.errors == []
    context.close()


def test_from_the_first_click_to_the_star_file(browser, balls_world, tmp_path):
    """Nothing is known at first: the page asks for the particle, five clicks are made, and RELION's files are there."""
    server = Server(balls_world, tmp_path / "project")
    context = browser.new_context(viewport=SIZE)
    try:
        person = Person(context.new_page(), server).come()
        page = person.page
        assert page.inner_text("#hint").startswith("Start here")
        page.fill("#kind-name", "ball")
        page.fill("#kind-diameter", str(DIAMETER))
        page.press("#kind-diameter", "Enter")
        person.until("studio.model.kind === 'ball'")
        person.until("document.getElementById('hint').textContent.startsWith('Now click the middle')")
        truth = balls_world.truth["TS_1"]
        rng = np.random.default_rng(0)
        for place in truth[:5]:
            off = place + rng.normal(0, 0.5 * VOXEL_SIZE, 3) + (0, 0, 1.5 * VOXEL_SIZE)
            person.scroll_to(off[2])
            person.click(off)
        person.saved()
        rows = server.rows()
        assert len(rows) == 5
        away = np.linalg.norm(rows[:, None] - truth[None], axis=2).min(axis=1)
        across = np.abs(rows[:, None, 2] - truth[None, :, 2]).min(axis=1)
        assert away.max() < 2.5 * VOXEL_SIZE
        assert np.median(across) < 0.8 * VOXEL_SIZE, "centred along z, which nobody saw"
        person.until("studio.model.found?.candidates.length === 8")
        person.until("document.getElementById('hint').hidden")
        person.until("document.getElementById('elsewhere').textContent.includes('5 picks in the other tomogram;')")
        assert "picks" in page.inner_text("#count") and "90% interval 6 to 11" in page.inner_text("#interval")
        page.wait_for_selector("#mean-part:not([hidden])")
        assert page.input_value("#source") == "instant", "what somebody who saves now means"
        page.select_option("#source", "clicks")
        page.click("#save")
        page.wait_for_selector("#saved-files code")
        star = Path(page.inner_text("#saved-files code"))
        assert star.name == "relion5_import.star"
        frames = {name: server.studio.listing.frame(name) for name in ("TS_1", "TS_2")}
        np.testing.assert_allclose(io.read_picks(star, frames).positions, rows, atol=0.05)
        assert person.errors == []
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize(("name", "base_path"), [("127.0.0.1", ""), ("localhost", "/node/n1/99")])
def test_over_a_forwarded_port(browser, balls_world, tmp_path, name, base_path):
    """The browser has another port, and maybe another name, than the server: all works, and the link works once."""
    server = Server(balls_world, tmp_path / "project", base_path)
    server.studio.project.add_kind("ball", DIAMETER)
    line = Forwarder(server.port)
    link = server.link.replace(f"127.0.0.1:{server.port}", f"{name}:{line.port}")
    context = browser.new_context(viewport=SIZE)
    try:
        person = Person(context.new_page(), server)
        person.page.goto(link)
        person.until("window.studio?.model.brick?.isWhole")
        assert person.page.url.startswith(f"http://{name}:{line.port}{base_path}/")
        place = balls_world.truth["TS_1"][0]
        person.scroll_to(place[2])
        person.click(place)
        person.saved()
        assert len(server.rows()) == 1
        person.until("studio.model.shownPicks.length > 0")  # Events come through, too.
        person.page.reload()
        person.until("window.studio?.model.points('ball').length === 1")
        stranger = browser.new_context()
        assert stranger.new_page().goto(link).status == 403
        stranger.close()
        line.close()
        person.until("!document.getElementById('line').hidden")
        assert person.errors == []
    finally:
        context.close()
        line.close()
        server.stop()


def test_clicks_picks_negatives_and_undo(person, server, balls_world):
    truth = balls_world.truth["TS_1"]
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    person.saved()
    person.until("studio.model.shownPicks.length > 0")
    assert server.engine.calls[-1] == (1, 0)
    person.page.keyboard.press("n")
    person.saved()
    assert (len(server.rows()), len(server.rows("rejected"))) == (0, 1)
    person.page.keyboard.press("Control+z")
    person.saved()
    assert (len(server.rows()), len(server.rows("rejected"))) == (1, 0)
    person.click(server.rows()[0], button="right")
    person.saved()
    assert len(server.rows()) == 0
    person.page.keyboard.press("Control+z")
    person.saved()
    person.page.keyboard.press("Control+z")
    person.saved()
    assert len(server.rows()) == 0
    person.page.keyboard.press("Control+Shift+Z")
    person.saved()
    assert len(server.rows()) == 1


def test_a_kind_and_a_note_are_undone(person, server):
    page = person.page
    page.click("#kind-add summary")
    page.fill("#kind-name", "ring")
    page.fill("#kind-diameter", "80")
    page.press("#kind-diameter", "Enter")
    person.until("studio.model.kind === 'ring'")
    page.keyboard.press("F3")
    note = page.locator("#list-rows input[type=text]").first
    note.fill("thick")
    note.press("Enter")
    person.until("studio.model.state.undo === 2")
    note.blur()
    page.keyboard.press("Control+z")
    person.until("document.querySelector('#list-rows input[type=text]').value === ''")
    page.keyboard.press("Control+z")
    person.until("studio.model.kind === 'ball' && studio.model.state.redo === 2")
    assert page.locator("#kinds li").count() == 1
    page.keyboard.press("Control+Shift+Z")
    person.until("document.querySelectorAll('#kinds li').length === 2")
    assert set(server.studio.project.kinds) == {"ball", "ring"}


def test_a_click_on_a_pick_confirms_it_where_it_is(person, server, balls_world):
    truth = balls_world.truth["TS_1"]
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    person.until("studio.model.shownPicks.length > 0")
    x, y, z = person.page.evaluate("() => studio.model.shownPicks[0].place")
    person.scroll_to(z + 2 * VOXEL_SIZE)
    person.click((x + 15, y, z + 2 * VOXEL_SIZE))
    person.saved()
    assert np.linalg.norm(server.rows() - (x, y, z), axis=1).min() < 0.1
    section = person.page.evaluate("() => studio.model.cursor[2]")
    assert section == pytest.approx(z + 2 * VOXEL_SIZE), "the section stays, for the next click"


def test_questions_are_answered_with_y_and_n(person, server):
    person.until("studio.model.found?.features === 'ready'")
    for key in "qyn":
        before = person.page.evaluate("() => JSON.stringify(studio.model.asked)")
        person.page.keyboard.press(key)
        person.until(f"studio.model.asked && JSON.stringify(studio.model.asked) !== {before!r}")
    person.saved()
    assert (len(server.rows()), len(server.rows("rejected"))) == (1, 1)
    assert "as likely a particle as not" in person.page.inner_text("#reason")


def test_two_kinds_are_each_others_negatives(person, server, balls_world):
    person.page.click("#kind-add summary")
    person.page.fill("#kind-name", "ring <b>")
    person.page.fill("#kind-diameter", "100")
    person.page.press("#kind-diameter", "Enter")
    person.until("studio.model.kind === 'ring <b>'")
    truth = balls_world.truth["TS_1"]
    person.scroll_to(truth[1][2])
    person.click(truth[1])
    person.saved()
    person.page.keyboard.press("Escape")
    person.page.keyboard.press("1")
    person.until("studio.model.kind === 'ball'")
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    person.saved()
    wait_for(lambda: (1, 1) in server.engine.calls)
    assert len(server.rows(kind="ring <b>")) == 1
    assert person.page.locator("b", has_text="ring").count() == 0, "names are text"


def test_reload_in_the_middle(person, server, balls_world):
    place = balls_world.truth["TS_1"][0]
    person.scroll_to(place[2])
    person.click(place)
    person.page.reload()
    person.until("window.studio?.model.points('ball').length === 1")
    person.saved()
    assert len(server.rows()) == 1


def test_the_server_is_gone_for_a_while(person, server, balls_world):
    """Clicks are kept, the page says so, and they are saved when a server is there again."""
    truth = balls_world.truth["TS_1"]
    server.stop()
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    person.until("document.getElementById('saved').textContent.includes('waiting for the server')")
    assert person.page.evaluate("() => studio.model.points('ball').length") == 1
    server.start()
    person.saved()
    assert len(server.rows()) == 1
    person.until("document.getElementById('line').hidden")
    person.until("studio.model.sheets.get('ball').points.length === 1")


def test_two_tabs(person, server, balls_world):
    other = Person(person.page.context.new_page(), server)
    other.page.goto(f"http://127.0.0.1:{server.port}/")
    other.until("window.studio?.model.brick?.isWhole")
    truth = balls_world.truth["TS_1"]
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    other.until("studio.model.points('ball').length === 1")
    other.scroll_to(truth[1][2])
    other.click(truth[1])
    person.until("studio.model.points('ball').length === 2")
    person.page.keyboard.press("Control+z")
    other.until("studio.model.points('ball').length === 1")
    person.saved()
    assert len(server.rows()) == 1
    assert other.errors == []


def test_an_edit_made_elsewhere_comes_into_the_page(person, server):
    frame = server.studio.listing.frame("TS_1")
    write_points(server.folder, "ball", "TS_1", frame, (Point(200, 200, 150), Point(300, 300, 150)))
    person.page.keyboard.press("h")
    person.until("studio.model.sheets.get('ball')")
    server.studio.project.sheet("ball", "TS_1")
    write_points(server.folder, "ball", "TS_1", frame, (Point(200, 200, 150),))
    person.until("studio.model.points('ball').length === 1")


def test_keyboard_alone(browser, server, balls_world):
    """From the empty page to saved files without a mouse."""
    context = browser.new_context(viewport=SIZE)
    person = Person(context.new_page(), server).come()
    keys = person.page.keyboard
    target = balls_world.truth["TS_1"][0]
    for axis, (more, less) in enumerate((("ArrowRight", "ArrowLeft"), ("ArrowUp", "ArrowDown"), (".", ","))):
        at = person.page.evaluate("(axis) => studio.model.cursor[axis]", axis)
        steps = round((target[axis] - at) / VOXEL_SIZE)
        for _ in range(abs(steps) // 10):
            keys.press(f"Shift+{more if steps > 0 else less}")
        for _ in range(abs(steps) % 10):
            keys.press(more if steps > 0 else less)
    keys.press("Enter")
    person.saved()
    assert np.linalg.norm(server.rows()[0] - target) < 1.5 * VOXEL_SIZE
    person.until("studio.model.shownPicks.length > 0")
    keys.press("p")
    keys.press("y")
    person.saved()
    assert len(server.rows()) == 2
    keys.press("[")
    keys.press("Delete")
    person.saved()
    assert len(server.rows()) == 1
    keys.press("?")
    person.until("document.getElementById('help').open")
    keys.press("Escape")
    keys.press("t")
    person.until("studio.model.tomogram.name === 'TS_2'")
    keys.press("F3")
    person.until("!document.getElementById('page-tomograms').hidden")
    person.page.wait_for_selector("#list-rows tr")
    assert "1 particles of ball clicked" in person.page.inner_text("#list-total")
    keys.press("F1")
    for _ in range(12):  # From the end of the page backwards.
        keys.press("Shift+Tab")
        if person.page.evaluate("() => document.activeElement?.id") == "save":
            break
    keys.press("Enter")
    person.page.wait_for_selector("#saved-files code")
    assert person.errors == []
    context.close()


def test_pinching_zooms_where_the_fingers_are_and_adds_nothing(person):
    """Two fingers move apart to twice their distance: what lay between them stays there, twice as large."""
    page = person.page
    box = page.locator("canvas").first.bounding_box()
    before = page.evaluate("({zoom: studio.model.zoom, centre: [...studio.model.centre]})")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def fingers(kind, apart):
        places = [{"x": x - apart / 2, "y": y, "id": 0}, {"x": x + apart / 2, "y": y, "id": 1}] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fingers("touchStart", 60)
    for apart in (80, 100, 120):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    person.until(f"Math.abs(studio.model.zoom / {before['zoom']} - 2) < 0.2")
    centre = page.evaluate("[...studio.model.centre]")
    assert np.abs(np.subtract(centre, before["centre"])).max() * before["zoom"] < 30  # screen pixels
    person.saved()
    assert not list(person.server.folder.glob("clicks/**/*.csv"))


@pytest.mark.parametrize("size", [(1440, 900), (1100, 640)], ids=str)
def test_every_view_fits_the_window(person, server, balls_world, size):
    """Nothing lies beside the window or over something else, with all that a page can show."""
    page, truth = person.page, balls_world.truth["TS_1"]
    page.set_viewport_size({"width": size[0], "height": size[1]})
    person.until("studio.model.found?.features === 'ready'")
    person.scroll_to(truth[0][2])
    person.click(truth[0])
    person.until("studio.model.shownPicks.length > 0 && !document.getElementById('mean-part').hidden")
    page.click("#save")
    page.wait_for_selector("#saved-files code")
    page.keyboard.press("Escape")
    page.keyboard.press("q")
    person.until("studio.model.asked")
    server.studio.jobs.start("A job with a long name", "ball", ["--version"])
    write_pick_folder(balls_world, server.folder / "picks" / "ball")
    for key, view in (("F1", "pick"), ("F2", "review"), ("F3", "tomograms"), ("F4", "jobs")):
        page.keyboard.press(key)
        page.wait_for_selector(f"#page-{view}:not([hidden])")
        page.wait_for_timeout(300)
        wide = page.evaluate(
            """() => [...document.querySelectorAll("html, main:not([hidden]), main:not([hidden]) *")]
                .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1
                    && !["inline", "none"].includes(getComputedStyle(each).display))
                .map((each) => `${each.tagName} ${each.id} ${each.className}`)"""
        )
        assert wide == [], view


def test_deconvolution_is_shown_and_labelled(person):
    """It changes the picture, not the contrast, and goes again."""
    page = person.page
    page.keyboard.press("h")

    def shown():
        return np.array(
            page.evaluate(
                """() => {
                    const { canvas, context } = studio.views[0];
                    const side = Math.floor(Math.min(canvas.width, canvas.height) / 3);
                    const [x, y] = [(canvas.width - side) / 2, (canvas.height - side) / 2];
                    return Array.from(context.getImageData(x, y, side, side).data.filter((_, i) => i % 4 === 0));
                }"""
            ),
            dtype=float,
        )

    def likeness():
        return np.corrcoef(shown(), plain)[0, 1]

    wait_for(lambda: shown().std() > 10, 60)
    plain = shown()
    page.fill("#defocus", "4")
    page.press("#defocus", "Enter")
    person.until("document.getElementById('filtered').textContent === 'display only: deconvolved, defocus 4 µm'")
    wait_for(lambda: likeness() < 0.95, 60)
    assert 0.4 < shown().std() / plain.std() < 2.5
    page.fill("#defocus", "")
    page.press("#defocus", "Enter")
    person.until("document.getElementById('filtered').hidden")
    wait_for(lambda: likeness() > 0.98, 60)


def test_the_picture_is_the_volume(person, server, balls_world):
    """A dark ball is dark where it is, in all three planes; inverted, it is bright."""
    place = balls_world.truth["TS_1"][2]
    person.page.evaluate("(at) => studio.model.lookAt(at)", [float(value) for value in place])
    person.page.keyboard.press("h")

    def grey(plane):
        return person.page.evaluate(
            """([plane, place]) => {
                const view = studio.views.find((each) => each.plane === plane);
                const box = view.canvas.getBoundingClientRect();
                const { u, v } = { xy: { u: 0, v: 1 }, xz: { u: 0, v: 2 }, yz: { u: 2, v: 1 } }[plane];
                const x = box.width / 2 + (place[u] - studio.model.centre[u]) * studio.model.zoom;
                const y = box.height / 2 - (place[v] - studio.model.centre[v]) * studio.model.zoom;
                return view.context.getImageData(Math.round(x), Math.round(y), 1, 1).data[0];
            }""",
            [plane, [float(value) for value in place]],
        )

    time.sleep(0.4)
    dark = [grey(plane) for plane in ("xy", "xz", "yz")]
    person.page.keyboard.press("i")
    time.sleep(0.4)
    bright = [grey(plane) for plane in ("xy", "xz", "yz")]
    assert max(dark) < 90 and min(bright) > 165


def test_twenty_clicks_a_second(person, server):
    """All are saved, in order, and the page stays alive."""
    person.page.evaluate(
        """async () => {
            for (let i = 0; i < 40; i++) {
                studio.act([studio.point([20 + 10 * i, 100, 100])], []);
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
        }"""
    )
    person.saved()
    assert len(server.rows()) == 40
    person.until("studio.model.points('ball').length === 40 && studio.model.pending.length === 0")


def test_review_by_threshold_and_by_key(person, server, balls_world):
    """What is rejected is the next training's negative, and is not saved; a threshold is written to the files."""
    write_pick_folder(balls_world, server.folder / "picks" / "ball")
    page = person.page
    page.keyboard.press("F2")
    page.wait_for_selector("#gallery .card img")
    assert page.locator("#gallery .card").count() == 16
    assert "10 picks of 2 tomograms" in page.inner_text("#review-total")
    doubt = [abs(float(text) - 0.5) for text in page.locator("#gallery figcaption b").all_inner_texts()]
    assert doubt == sorted(doubt)
    page.keyboard.press("n")
    page.keyboard.press("y")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    person.saved()
    rejected = sum(len(server.rows("rejected", name=name)) for name in balls_world.truth)
    accepted = sum(len(server.rows(name=name)) for name in balls_world.truth)
    assert (rejected, accepted) == (2, 1)
    assert page.locator("#gallery .card.negative").count() == 2
    page.keyboard.press("Control+z")
    person.saved()
    assert sum(len(server.rows("rejected", name=name)) for name in balls_world.truth) == 1
    person.until("document.querySelectorAll('#gallery .card.negative').length === 1")
    page.locator("#review-cut").fill("80")
    person.until("document.getElementById('review-total').textContent.startsWith('4 picks')")
    page.click("#review-apply")
    picks = server.folder / "picks" / "ball"
    wait_for((picks / "picks.csv").exists)
    record = wait_for(lambda: (now := json.loads((picks / "picks.json").read_text()))["merged"] and now)
    assert [entry["picks"] for entry in record["tomograms"].values()] == [2, 2]
    page.wait_for_selector("#review-rows tr")
    page.locator("#gallery .card").first.dblclick()
    person.until("!document.getElementById('page-pick').hidden")


def test_instant_picks_are_reviewed(person, server, balls_world):
    """Before any job: the threshold is tried on all tomograms, and answers count, and the cards stay in their order."""
    page, place = person.page, balls_world.truth["TS_1"][0]
    person.scroll_to(place[2])
    person.click(place)
    person.until("studio.model.found?.elsewhere.done === 1")
    page.keyboard.press("F2")
    page.wait_for_selector("#gallery .card img")
    assert "Instant picks" in page.inner_text("#review-instant")
    person.until("document.getElementById('review-total').textContent.startsWith('10 picks of 2 tomograms')")
    cards = page.locator("#gallery figcaption").all_inner_texts()
    calls = len(server.engine.calls)
    page.keyboard.press("n")
    person.saved()
    wait_for(lambda: server.engine.calls[calls:] == [(1, 1)])
    person.until("document.querySelectorAll('#gallery .card.negative').length === 1")
    assert page.locator("#gallery figcaption").all_inner_texts() == cards
    page.locator("#review-cut").fill("80")
    person.until("document.getElementById('review-total').textContent.startsWith('4 picks')")
    page.click("#review-apply")
    page.keyboard.press("F1")
    page.keyboard.press("t")
    person.until("studio.model.tomogram.name === 'TS_2' && studio.model.found?.candidates.length === 8")
    person.until("document.getElementById('count').textContent === '2 picks'")


def test_a_job_is_followed_and_survives_the_server(person, server, balls_world, monkeypatch):
    code = "import time; [print(f'training: {i} of 20, loss 0.1') or time.sleep(0.2) for i in range(20)]"
    monkeypatch.setattr("tomopicker.studio.jobs.COMMAND", (sys.executable, "-u", "-c", code))
    person.scroll_to(balls_world.truth["TS_1"][0][2])
    person.click(balls_world.truth["TS_1"][0])
    person.saved()
    page = person.page
    page.keyboard.press("F4")
    page.click("#train")
    page.wait_for_selector("#jobs li.running")
    person.until("/training: [1-9]/.test(document.getElementById('log').textContent)")
    server.stop()
    time.sleep(0.5)
    server.start()
    page.wait_for_selector("#jobs li.done")
    assert "--particle-diameter 100" in page.inner_text("#log")
    page.click("#train")
    page.click("#jobs li.running button:has-text('Stop')")
    page.wait_for_selector("#jobs li.stopped")
