"""The studio in a real browser: from a click to its picks, a new user's session, and load.

    python benchmarks/studio.py click TS_0001.mrc TS_0001.csv          # seconds from a click to picks, of 10 clicks
    python benchmarks/studio.py stranger DEMO --shots FOLDER           # DEMO: folder of `tomopicker demo --output`
    python benchmarks/studio.py load TS_0001.mrc                       # quick clicks, many picks and names, slow line
    python benchmarks/studio.py open LARGE.mrc                         # first picture, and scrolling while it loads

Needs Playwright and Debian's Chromium. The server is the real command in a process of its own, with two threads.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
TICKS = os.sysconf("SC_CLK_TCK")
LINK = re.compile(r"Open in a browser:\s+(\S+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["click", "stranger", "load", "open"])
    parser.add_argument("tomogram", type=Path, help="a tomogram; for 'stranger' the folder of a demo")
    parser.add_argument("truth", type=Path, nargs="?", help="positions to click at, as CSV in voxels")
    parser.add_argument("--diameter", type=float, default=300.0)
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    {"click": click, "stranger": stranger, "load": load, "open": open_and_scroll}[arguments.what](arguments)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


class Server:
    """The command in a separate process."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-u", "-m", "tomopicker.cli", "studio", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.link = ""
        for line in self.process.stdout or []:
            if found := LINK.search(line):
                self.link = found[1]
                break
        if not self.link:
            raise SystemExit("the studio did not start")

    @property
    def cpu(self) -> float:
        """Processor time used so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def studio(*arguments: object) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(20)
        server.process.kill()


@contextmanager
def browser_at(link: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(link)
        until(page, "window.studio?.model.brick?.isWhole")
        yield page
        browser.close()


def until(page: Page, condition: str, seconds: float = 600) -> None:
    """Wait for a condition; Playwright's own function evaluates text in the page, which its policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"() => Boolean({condition})"):
        if time.monotonic() > deadline:
            raise SystemExit(f"timeout: {condition}")
        page.wait_for_timeout(30)


def on_screen(page: Page, place: np.ndarray) -> tuple[float, float]:
    """Go to the section of a position (x, y, z in Å) and return its position on the screen."""
    page.evaluate("(place) => studio.model.lookAt(place)", place.tolist())
    box = page.locator("#xy").bounding_box()
    assert box is not None
    dx, dy = page.evaluate(
        """async (place) => {
            const { toScreen } = await import("./static/geometry.js");
            return toScreen("xy", place, studio.model.centre, studio.model.zoom);
        }""",
        place.tolist(),
    )
    return box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy


TIMER = """() => {
    window.marks = {};
    addEventListener("pointerup", () => {
        const before = studio.model.found;
        const began = performance.now();
        window.marks = { began };
        const look = () => {
            if (studio.outbox.acts.length === 0 && !window.marks.saved) window.marks.saved = performance.now() - began;
            if (studio.model.found !== before && studio.model.found?.candidates.length) {
                requestAnimationFrame(() => { window.marks.picks = performance.now() - began; });
            } else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, true);
}"""


def click(arguments: argparse.Namespace) -> None:
    """Print the seconds from a click to its picks on the screen."""
    from tomopicker import api  # noqa: PLC0415

    tomogram = api.open_tomogram(arguments.tomogram)
    places = api.read_picks([arguments.truth], [tomogram]).positions
    places = places[np.random.default_rng(0).permutation(len(places))[: arguments.clicks]]
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(arguments.tomogram, "--project", folder, "-d", arguments.diameter, "--device", "cpu") as server,
        browser_at(server.link) as page,
    ):
        until(page, "studio.model.found?.features === 'ready'")
        page.evaluate(TIMER)
        for place in places:
            x, y = on_screen(page, place + np.array([0, 0, tomogram.voxel_size]))
            page.wait_for_timeout(500)
            before = server.cpu
            page.mouse.click(x, y)
            until(page, "window.marks.picks")
            used = server.cpu - before
            marks = page.evaluate("window.marks")
            rows.append((marks["saved"] / 1000, marks["picks"] / 1000, used))
            print("saved {:.2f} s, picks {:.2f} s, server's CPU {:.2f} s".format(*rows[-1]), flush=True)
            page.wait_for_timeout(4000)  # The mean and the check of the clicks follow.
    for name, values in zip(("saved", "picks", "server's CPU"), zip(*rows, strict=True), strict=True):
        print(f"{name}: median {statistics.median(values):.2f} s, worst {max(values):.2f} s")


def stranger(arguments: argparse.Namespace) -> None:
    """Do what a new user would do: open, name the particle, click 5, see picks in all tomograms, save."""
    from tomopicker import api  # noqa: PLC0415

    steps: list[tuple[float, str]] = []
    began = time.monotonic()

    def step(page: Page, words: str) -> None:
        steps.append((time.monotonic() - began, words))
        print(f"{steps[-1][0]:6.1f} s  {len(steps)}. {words}", flush=True)
        if arguments.shots:
            page.screenshot(path=arguments.shots / f"{len(steps):02d}.png")

    tomogram = api.open_tomogram(sorted((arguments.tomogram / "tomograms").iterdir())[0])
    places = api.read_picks([arguments.tomogram / "truth" / f"{tomogram.name}.csv"], [tomogram]).positions
    middle = np.abs(places[:, 2] - tomogram.shape[0] / 2 * tomogram.voxel_size).argsort()[:5]
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(arguments.tomogram / "tomograms", "--project", folder, "--device", "cpu") as server,
        browser_at(server.link) as page,
    ):
        step(page, "the link is opened")
        page.fill("#kind-name", "ribosome")
        page.fill("#kind-diameter", str(arguments.diameter))
        step(page, "a name and a diameter are typed, where the page asks for them")
        page.press("#kind-diameter", "Enter")
        until(page, "studio.model.kind === 'ribosome'")
        step(page, "Enter")
        for number, place in enumerate(places[middle], start=1):
            page.mouse.click(*on_screen(page, place))
            step(page, f"particle {number} is clicked")
        until(page, "studio.model.found?.candidates.length")
        step(page, "(picks of this tomogram are there)")
        until(page, "studio.model.found.elsewhere.done === studio.model.found.elsewhere.tomograms")
        step(page, "(picks of all tomograms are there)")
        page.click("#elsewhere button")
        page.wait_for_selector("#list-rows tr")
        step(page, "the list of tomograms is opened by its link")
        page.locator("#list-rows button").nth(1).click()
        until(page, "studio.model.found?.candidates.length && studio.model.brick?.isWhole")
        step(page, "another tomogram is opened from the list")
        page.click("#save")
        page.wait_for_selector("#saved-files code")
        step(page, "Save is pressed: " + page.inner_text("#saved-files p"))


def load(arguments: argparse.Namespace) -> None:
    """Measure quick clicks, many picks, many tomograms and a slow connection."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "tomograms"
        listed.mkdir()
        for number in range(200):
            (listed / f"TS_{number:04d}{arguments.tomogram.suffix}").symlink_to(arguments.tomogram.absolute())
        options = ["--project", Path(folder) / "project", "-d", arguments.diameter, "--device", "cpu"]
        with studio(listed, *options) as server, browser_at(server.link) as page:
            print(f"200 tomograms: the list is shown {seconds_of_list(page):.2f} s after F3")
            page.keyboard.press("F1")
            print(f"20 clicks a second for two seconds: {quick(page):.1f} s until all are saved")
            drawn = page.evaluate(MANY)
            print("50,000 picks: {:.0f} ms for the first drawing, {:.0f} ms a section on".format(*drawn))
        with studio(listed, *options) as server:
            slow_connection(server.link)


def seconds_of_list(page: Page) -> float:
    began = time.monotonic()
    page.keyboard.press("F3")
    until(page, "document.querySelectorAll('#list-rows tr').length === 200")
    return time.monotonic() - began


def quick(page: Page) -> float:
    """Click 40 times in two seconds, and wait until all are saved."""
    began = time.monotonic()
    page.evaluate(
        """async () => {
            for (let i = 0; i < 40; i++) {
                studio.act([studio.point([200 + 90 * i, 1000, 700])], []);
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
        }"""
    )
    until(page, "studio.outbox.acts.length === 0")
    assert page.evaluate("studio.model.points(studio.model.kind).length") == 40
    return time.monotonic() - began


def open_and_scroll(arguments: argparse.Namespace) -> None:
    """Time the first picture of a tomogram, and scrolling while the rest loads and afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(arguments.tomogram, "--project", folder, "-d", arguments.diameter, "--device", "cpu") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        began = time.monotonic()
        page.goto(server.link, timeout=300_000)
        until(page, "window.studio?.views[0].picture")
        print(f"first picture after {time.monotonic() - began:.1f} s", flush=True)
        for when in ("while loading", "when loaded"):
            steps = page.evaluate(SCROLL)
            print("{}: {:.0f} ms a section, worst {:.0f} ms, of all three planes".format(when, *steps), flush=True)
            until(page, "studio.model.brick.isWhole")
        megabytes = page.evaluate("studio.model.brick.shape.reduce((a, b) => a * b)") / 1e6
        print(f"{megabytes:.0f} MB loaded after {time.monotonic() - began:.1f} s at most")
        browser.close()


SCROLL = """async () => {
    const times = [];
    for (let i = 0; i < 20; i++) {
        const began = performance.now();
        studio.model.scroll("xy", 1);
        studio.model.scroll("xz", 1);
        studio.model.scroll("yz", 1);
        studio.draw();
        times.push(performance.now() - began);
        await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return [times.sort((a, b) => a - b)[10], times[19]];
}"""


MANY = """() => {
    const { model } = studio;
    const random = (size) => Math.random() * size;
    const candidates = Array.from({ length: 50000 }, () => [...model.tomogram.size.map(random), 0.5 + random(0.5)]);
    model.found = { candidates, threshold: 0.4, count: null, expected: null, particles: 50000, features: "ready",
        trouble: null, elsewhere: { tomograms: 0, done: 0, picks: 0 } };
    const drawn = () => { const began = performance.now(); studio.draw(); return performance.now() - began; };
    const first = drawn();
    const rest = Array.from({ length: 9 }, () => { model.scroll("xy", 1); return drawn(); }).sort((a, b) => a - b);
    return [first, rest[4]];
}"""


def slow_connection(link: str) -> None:
    """Open with 100 ms latency and 1 MB/s, click, and wait for the volume."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        speed = {"offline": False, "latency": 100, "downloadThroughput": 1e6, "uploadThroughput": 1e6}
        line.send("Network.emulateNetworkConditions", speed)
        began = time.monotonic()
        page.goto(link, timeout=300_000)
        until(page, "window.studio?.views[0].picture")
        print(f"100 ms and 1 MB/s: first picture after {time.monotonic() - began:.1f} s", flush=True)
        clicked = time.monotonic()
        page.evaluate("() => studio.act([studio.point([500, 500, 500])], [])")
        until(page, "studio.outbox.acts.length === 0")
        print(f"a click saved after {time.monotonic() - clicked:.1f} s", flush=True)
        until(page, "studio.model.brick.isWhole")
        print(f"the whole volume after {time.monotonic() - began:.1f} s", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
