import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";
import { KEYS, meaning } from "../../../src/tomopicker/studio/static/keys.js";
import { Model } from "../../../src/tomopicker/studio/static/model.js";
import { Outbox, Refused, address } from "../../../src/tomopicker/studio/static/server.js";
import { sorted } from "../../../src/tomopicker/studio/static/tomograms.js";

const press = (key, more = {}) => meaning({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("keys mean what the table says", () => {
  assert.equal(press("n"), "negative");
  assert.equal(press("N", { shiftKey: true }), "negative");
  assert.equal(press("z", { ctrlKey: true }), "undo");
  assert.equal(press("Z", { ctrlKey: true, shiftKey: true }), "redo");
  assert.equal(press("z", { metaKey: true }), "undo");
  assert.equal(press("y", { ctrlKey: true }), "redo");
  assert.equal(press("?", { shiftKey: true }), "help");
  assert.equal(press("<", { shiftKey: true }), "sectionBack");
  assert.equal(press("Delete"), "remove");
  assert.equal(press("d", { altKey: true }), "");
  assert.equal(press("F2"), "page");
  assert.equal(press("ß"), "");
});

test("the table of keys in the documentation is this one", () => {
  const page = readFileSync(new URL("../../../docs/studio.md", import.meta.url), "utf8");
  for (const row of KEYS) assert.ok(page.includes(`| ${row.group} | ${row.shown} | ${row.does} |`), row.shown);
});

test("no key means two things", () => {
  const all = KEYS.filter((row) => row.act).flatMap((row) => row.keys.map((key) => (key.length === 1 && key !== "Z" ? key.toLowerCase() : key)));
  assert.equal(new Set(all).size, all.length);
});

const point = (x, label = "particle") => ({ x, y: 0, z: 0, label, origin: "click" });
const state = () => ({
  version: "1", project: "p", instant: true, trouble: null, programs: [], undo: 0, redo: 0,
  kinds: [{ name: "ball", diameter: 100, colour: "#39d98a" }], tomograms: [{ name: "TS_1", volumes: ["raw"] }],
});

function model() {
  const made = new Model(state(), () => {});
  made.tomogram = { name: "TS_1", volume: "raw", voxelSize: 10, size: [1000, 1000, 300], origin: [0, 0, 0] };
  made.sheets.set("ball", { version: 3, points: [point(10), point(200)] });
  return made;
}

test("what the server saved is taken in once, and a gap is fetched", () => {
  const made = model();
  const fetched = [];
  made.fetchPoints = (kind) => fetched.push(kind);
  const change = { kind: "ball", tomogram: "TS_1", added: [point(400)], removed: [point(10.2)] };
  made.take({ change, version: 4 });
  made.take({ change, version: 4 });
  assert.deepEqual(made.points("ball").map((each) => each.x), [200, 400]);
  made.take({ change: { ...change, tomogram: "TS_2" }, version: 9 });
  assert.deepEqual(fetched, []);
  made.take({ change: { ...change, added: [point(700)] }, version: 6 });
  assert.deepEqual(fetched, ["ball"]);
});

test("points on their way are shown, and picks under points are not", () => {
  const made = model();
  made.found = { candidates: [[12, 0, 0, 0.9], [500, 0, 0, 0.8], [800, 0, 0, 0.2]], threshold: 0.5 };
  assert.deepEqual(made.shownPicks.map((pick) => pick.place[0]), [500]);
  made.pending.push({ kind: "ball", tomogram: "TS_1", added: [point(500)], removed: [] });
  assert.equal(made.points("ball").length, 3);
  assert.deepEqual(made.shownPicks, []);
  made.threshold = 0.1;
  assert.deepEqual(made.shownPicks.map((pick) => pick.place[0]), [800]);
});

test("zooming keeps the place under the pointer, scrolling stays inside", () => {
  const made = model();
  made.centre = [500, 500, 100];
  made.zoom = 1;
  made.zoomBy(2, [700, 500, 100]);
  assert.equal((700 - made.centre[0]) * made.zoom, 200);
  made.cursor = [0, 0, 295];
  made.scroll("xy", 3);
  assert.equal(made.cursor[2], 300);
});

test("fifty thousand picks are separated from points quickly", () => {
  const made = model();
  const row = (i) => [(i * 37) % 1000, (i * 91) % 1000, (i * 17) % 300, 0.9];
  made.found = { candidates: Array.from({ length: 50000 }, (_, i) => row(i)), threshold: 0.5 };
  const before = performance.now();
  const shown = made.shownPicks;
  console.log(`50,000 picks: ${(performance.now() - before).toFixed(0)} ms`);
  assert.ok(shown.length > 40000);
  assert.equal(made.shownPicks, shown, "and not looked at again while nothing changes");
});

let store;
beforeEach(() => {
  store = new Map();
  globalThis.localStorage = { getItem: (name) => store.get(name) ?? null, setItem: (name, text) => store.set(name, text) };
});

function replies(...answers) {
  const asked = [];
  globalThis.fetch = async (path, options) => {
    asked.push([path, options.body]);
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return new Response(JSON.stringify(answer.body), { status: answer.status ?? 200 });
  };
  return asked;
}

test("an act is repeated until the server has it, and kept meanwhile", async () => {
  const asked = replies(new TypeError("no network"), { body: { change: null } });
  const saved = [];
  const waits = [];
  const box = new Outbox("p", (reply) => saved.push(reply), assert.fail, (waiting, offline) => waits.push([waiting, offline]));
  const sent = box.send("act", { kind: "ball" });
  assert.deepEqual(JSON.parse(store.get("p")), [{ path: "act", body: { kind: "ball" } }]);
  await sent;
  assert.equal(asked.length, 2);
  assert.equal(saved.length, 1);
  assert.deepEqual(waits.at(1), [1, true]);
  assert.deepEqual(waits.at(-1), [0, false]);
  assert.equal(store.get("p"), "[]");
});

test("a page that was reloaded sends what had not arrived", async () => {
  store.set("p", JSON.stringify([{ path: "act", body: { kind: "ball" } }]));
  const asked = replies({ body: {} });
  const box = new Outbox("p", () => {}, assert.fail, () => {});
  await Promise.all(box.sending);
  assert.equal(asked.length, 1);
});

test("what is refused is said and not repeated", async () => {
  replies({ status: 400, body: { error: "a point lies outside the tomogram" } });
  const said = [];
  const box = new Outbox("p", assert.fail, (message) => said.push(message), () => {});
  await box.send("act", {});
  assert.deepEqual(said, ["a point lies outside the tomogram"]);
  assert.equal(box.acts.length, 0);
  assert.ok(new Refused("x") instanceof Error);
});

test("undo does not overtake a click", async () => {
  const asked = replies(new TypeError("no network"), { body: {} }, { body: {} });
  const box = new Outbox("p", () => {}, assert.fail, () => {});
  void box.send("act", {});
  await box.sendAfter("undo");
  assert.deepEqual(asked.map(([path]) => path), ["api/act", "api/act", "api/undo"]);
});

test("addresses escape names", () => {
  assert.equal(address("tomogram", { name: "a&b=/..?" }), "api/tomogram?name=a%26b%3D%2F..%3F");
});

test("rows are sorted as people count, what is missing last", () => {
  const rows = [["TS_10", 3], ["TS_2", null], ["TS_1", 7]].map(([tomogram, picks]) => ({ tomogram, picks }));
  assert.deepEqual(sorted(rows, "tomogram", true).map((row) => row.tomogram), ["TS_1", "TS_2", "TS_10"]);
  assert.deepEqual(sorted(rows, "picks", false).map((row) => row.picks), [7, 3, null]);
  assert.deepEqual(sorted(rows, "picks", true).map((row) => row.picks), [3, 7, null]);
});
