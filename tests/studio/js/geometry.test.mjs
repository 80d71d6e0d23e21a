import assert from "node:assert/strict";
import { test } from "node:test";
import * as geometry from "../../../src/tomopicker/studio/static/geometry.js";

test("a circle shrinks with the distance of the section, and goes at the radius", () => {
  assert.equal(geometry.circleRadius(100, 0), 100);
  assert.equal(geometry.circleRadius(100, 60), 80);
  assert.equal(geometry.circleRadius(100, -60), 80);
  assert.equal(geometry.circleRadius(100, 100), 0);
  assert.equal(geometry.circleRadius(100, 130), 0);
});

test("screen and tomogram are inverse in every plane, and y points up", () => {
  const centre = [300, 200, 100];
  const cursor = [10, 20, 30];
  for (const plane of geometry.PLANES) {
    const { u, v, w } = geometry.AXES[plane];
    assert.deepEqual([u, v, w].toSorted(), [0, 1, 2]);
    const place = geometry.toTomogram(plane, 40, -25, centre, 0.5, cursor);
    assert.equal(place[w], cursor[w]);
    assert.equal(place[u], centre[u] + 80);
    assert.equal(place[v], centre[v] + 50);
    const back = geometry.toScreen(plane, place, centre, 0.5);
    assert.ok(Math.abs(back[0] - 40) < 1e-9 && Math.abs(back[1] + 25) < 1e-9);
  }
});

test("planes that stand side by side share their axis", () => {
  assert.equal(geometry.AXES.xy.u, geometry.AXES.xz.u);
  assert.equal(geometry.AXES.xy.v, geometry.AXES.yz.v);
});

test("the hit is the nearest circle that the section cuts", () => {
  const places = [[0, 0, 0], [60, 0, 0], [0, 0, 99], [0, 0, 300]];
  assert.equal(geometry.hit(places, "xy", [35, 0, 0], 50, 2), 1);
  assert.equal(geometry.hit(places, "xy", [25, 0, 0], 50, 2), 0);
  assert.equal(geometry.hit(places, "xy", [200, 0, 0], 50, 2), -1);
  // Cut near its pole it is small, but its middle is still hit.
  assert.equal(geometry.hit([[0, 0, 49.9]], "xy", [8, 0, 0], 50, 2), -1);
  assert.equal(geometry.hit([[0, 0, 49.9]], "xy", [8, 0, 0], 50, 10), 0);
  assert.equal(geometry.hit([[0, 0, 50.1]], "xy", [0, 0, 0], 50, 10), -1);
  assert.equal(geometry.hit([[5, 70, 5]], "xz", [5, 60, 30], 50, 2), 0);
});

test("the nearest in three dimensions, within reach", () => {
  const places = [[0, 0, 0], [0, 0, 40]];
  assert.equal(geometry.nearest(places, [0, 0, 25], 50), 1);
  assert.equal(geometry.nearest(places, [0, 0, 25], 10), -1);
  assert.equal(geometry.nearest([], [0, 0, 0], 10), -1);
});

test("scale bars are round and fit", () => {
  for (const zoom of [0.003, 0.01, 0.07, 0.3, 2, 15]) {
    const { length, label } = geometry.scaleBar(zoom, 160);
    assert.ok(length * zoom <= 160 && length * zoom > 160 / 2.6, `${zoom}`);
    assert.match(String(length), /^(0\.)?0*[125]0*$/);
    assert.match(label, / (Å|nm|µm)$/);
  }
  assert.equal(geometry.scaleBar(0.2, 160).label, "50 nm");
  assert.equal(geometry.scaleBar(0.01, 160).label, "1 µm");
});

test("what is expected of a threshold", () => {
  const expected = geometry.expectation([0.9, 0.8, 0.4, 0.1], 0.5, 4);
  assert.equal(expected.count, 2);
  assert.ok(Math.abs(expected.precision - 0.85) < 1e-12 && Math.abs(expected.recall - 0.425) < 1e-12);
  assert.deepEqual(geometry.expectation([0.9], 0.95, 0), { count: 0, precision: 0, recall: 0 });
});
