import assert from "node:assert/strict";
import { test } from "node:test";
import { Brick } from "../../../src/tomopicker/studio/static/brick.js";
import { blurred, paint, quantile, windowOf } from "../../../src/tomopicker/studio/static/picture.js";

const SHAPE = [4, 3, 5];
const value = (z, y, x) => 50 * z + 10 * y + x;

function filled(sections = [0, 1, 2, 3]) {
  const brick = new Brick(SHAPE, 2);
  for (const z of sections) {
    const section = new Uint8Array(15);
    for (let y = 0; y < 3; y++) for (let x = 0; x < 5; x++) section[y * 5 + x] = value(z, y, x);
    brick.put(z, section);
  }
  return brick;
}

function mean(values) {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

test("slabs are means along the axis that the plane is seen along", () => {
  const brick = filled();
  assert.ok(brick.isWhole);
  const xy = brick.slab("xy", 1, 3);
  const xz = brick.slab("xz", 0, 2);
  const yz = brick.slab("yz", 2, 5);
  assert.deepEqual([xy.width, xy.height, xz.width, xz.height, yz.width, yz.height], [5, 3, 5, 4, 4, 3]);
  for (let z = 0; z < 4; z++) {
    for (let y = 0; y < 3; y++) {
      for (let x = 0; x < 5; x++) {
        assert.ok(Math.abs(xy.data[y * 5 + x] - mean([1, 2].map((each) => value(each, y, x)))) < 1e-3);
        assert.ok(Math.abs(xz.data[z * 5 + x] - mean([0, 1].map((each) => value(z, each, x)))) < 1e-3);
        assert.ok(Math.abs(yz.data[y * 4 + z] - mean([2, 3, 4].map((each) => value(z, y, each)))) < 1e-3);
      }
    }
  }
});

test("what has not come yet is left out of xy, and empty in the others", () => {
  const brick = filled([1, 2]);
  assert.ok(!brick.isWhole);
  assert.equal(brick.slab("xy", 0, 2).data[7], value(1, 1, 2));
  assert.ok(Number.isNaN(brick.slab("xy", 3, 4).data[0]));
  assert.ok(Number.isNaN(brick.slab("xz", 0, 1).data[0]));
  assert.equal(brick.slab("xz", 0, 1).data[5], value(1, 0, 0));
  assert.ok(Number.isNaN(brick.slab("yz", 0, 1).data[3]));
});

test("the range of a slab has its thickness and stays inside", () => {
  const brick = new Brick([100, 50, 50], 2);
  assert.deepEqual(brick.range(0, 100, 10), [48, 53]);
  assert.deepEqual(brick.range(0, 0, 10), [0, 5]);
  assert.deepEqual(brick.range(0, 199, 10), [95, 100]);
  assert.deepEqual(brick.range(0, 100, 0.5), [50, 51]);
  assert.deepEqual(brick.range(1, 20, 1000), [0, 50]);
});

test("sections are taken from a stream however it is cut, in the order stated", async () => {
  const whole = filled();
  const order = [2, 1, 3, 0];
  const bytes = new Uint8Array(60);
  order.forEach((z, index) => bytes.set(whole.data.subarray(z * 15, z * 15 + 15), index * 15));
  for (const size of [1, 7, 15, 16, 60]) {
    const brick = new Brick(SHAPE, 2);
    const stream = new ReadableStream({
      start(control) {
        for (let i = 0; i < 60; i += size) control.enqueue(bytes.slice(i, i + size));
        control.close();
      },
    });
    let sections = 0;
    await brick.read(stream, order, () => (sections += 1));
    assert.equal(sections, 4);
    assert.deepEqual(brick.data, whole.data);
  }
});

test("three planes of a slab of a large brick take well below a scroll's patience", () => {
  const brick = new Brick([250, 464, 480], 2);
  brick.there.fill(1);
  brick.received = 250;
  const times = [];
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    brick.slab("xy", 100, 106);
    brick.slab("xz", 100, 106);
    brick.slab("yz", 100, 106);
    times.push(performance.now() - before);
  }
  console.log(`three planes: ${Math.min(...times).toFixed(1)} ms`);
  assert.ok(Math.min(...times) < 250);
});

test("contrast: quantiles are interpolated and a window is never empty", () => {
  const table = Array.from({ length: 101 }, (_, i) => 2 * i);
  assert.equal(quantile(table, 1), 2);
  assert.equal(quantile(table, 50.5), 101);
  assert.equal(quantile(table, 150), 200);
  assert.deepEqual(windowOf(table, 1, 99), [2, 198]);
  const [low, high] = windowOf(new Array(101).fill(7), 1, 99);
  assert.ok(high > low);
});

test("painting maps the window to black and white, inverts, and shows gaps", () => {
  const slab = { data: Float32Array.from([10, 20, 15, 99, -5, NaN]), width: 6, height: 1 };
  const pixels = new Uint8ClampedArray(24);
  paint(slab, [10, 20], false, pixels);
  assert.deepEqual([0, 4, 8, 12, 16].map((i) => pixels[i]), [0, 255, 128, 255, 0]);
  assert.ok([3, 7, 11, 15, 19, 23].every((i) => pixels[i] === 255));
  assert.notEqual(pixels[20], pixels[22], "a gap is no grey");
  paint(slab, [10, 20], true, pixels);
  assert.deepEqual([0, 4, 12, 16].map((i) => pixels[i]), [255, 0, 0, 255]);
});

test("a blur keeps the mean and spreads a point evenly", () => {
  const slab = { data: new Float32Array(21 * 21), width: 21, height: 21 };
  slab.data[10 * 21 + 10] = 1;
  const { data } = blurred(slab, 1.5);
  assert.ok(Math.abs(data.reduce((sum, each) => sum + each, 0) - 1) < 1e-4);
  assert.ok(Math.abs(data[10 * 21 + 8] - data[8 * 21 + 10]) < 1e-7);
  assert.ok(data[10 * 21 + 10] > data[10 * 21 + 11] && data[10 * 21 + 11] > data[10 * 21 + 12]);
  assert.equal(blurred(slab, 0), slab);
});
