// The model: the open tomogram, the position in view, and the points of every kind.

import { AXES, clamp, distance, vectorOf } from "./geometry.js";
import { Brick } from "./brick.js";
import { address, get } from "./server.js";

/** @typedef {import("./types").Vector} Vector */
/** @typedef {import("./types").Plane} Plane */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Change} Change */

/** Å, distance within which two points are the same; as on the server. */
const SAME = 0.5;

export class Model {
  /** @param {import("./types").State} state @param {() => void} onChange */
  constructor(state, onChange) {
    this.state = state;
    this.onChange = onChange;
    this.kind = state.kinds[0]?.name ?? "";
    /** @type {import("./types").Tomogram | null} */
    this.tomogram = null;
    /** @type {Brick | null} */
    this.brick = null;
    /** @type {Vector} */
    this.cursor = [0, 0, 0];
    /** @type {Vector} */
    this.centre = [0, 0, 0];
    this.zoom = 0.1;
    /** Pixels of the views along x, y and z. @type {Vector} */
    this.sides = [600, 600, 200];
    this.slab = 0;
    this.low = 1;
    this.high = 99;
    this.inverted = false;
    this.lowPass = 0;
    /** Requested filter; the tomogram's grey values refer to the one displayed. @type {import("./types").Deconvolution | null} */
    this.deconvolution = null;
    this.showPoints = true;
    this.showPicks = true;
    /** Threshold set by the user for all tomograms; null: that of each tomogram. @type {number | null} */
    this.threshold = null;
    /** Points of every kind in the open tomogram. @type {Map<string, import("./types").Sheet>} */
    this.sheets = new Map();
    /** Changes not yet confirmed by the server. @type {Change[]} */
    this.pending = [];
    /** @type {import("./types").Candidates | null} */
    this.found = null;
    /** @type {import("./types").Suggestion | null} */
    this.asked = null;
    /** @type {AbortController | null} */
    this.streaming = null;
    /** @type {unknown[]} */
    this.picksOf = [];
    /** @type {{place: Vector, probability: number}[]} */
    this.kept = [];
  }

  /** @returns {import("./types").Kind | undefined} */
  get chosen() {
    return this.state.kinds.find((kind) => kind.name === this.kind);
  }

  get diameter() {
    return this.chosen?.diameter ?? 200;
  }

  get thickness() {
    return this.slab || this.diameter / 2;
  }

  /** Open a tomogram, or another volume of it, in which case the position is kept.
   * @param {string} name @param {string} [volume] */
  async open(name, volume) {
    const listed = this.state.tomograms.find((each) => each.name === name);
    const wanted = volume ?? (this.tomogram?.name === name ? this.tomogram.volume : listed?.volumes[0]) ?? "raw";
    /** @type {import("./types").Tomogram} */
    const opened = await get("tomogram", {
      name, volume: wanted, slab: this.thickness, kind: this.kind, deconvolve: asText(this.deconvolution),
    });
    const isOther = this.tomogram?.name !== name;
    const isOtherVolume = isOther || this.tomogram?.volume !== wanted;
    this.tomogram = opened;
    if (isOther) {
      this.cursor = [opened.size[0] / 2, opened.size[1] / 2, opened.size[2] / 2];
      this.centre = [...this.cursor];
      this.found = null;
      this.sheets = new Map();
    }
    if (isOtherVolume) this.stream(opened);
    this.onChange();
    if (isOther) await Promise.all(this.state.kinds.map((kind) => this.fetchPoints(kind.name)));
    await this.fetchPicks();
    return isOther;
  }

  /** Measure grey values again after a change of slab thickness or filter. */
  async remeasure() {
    if (this.tomogram) await this.open(this.tomogram.name, this.tomogram.volume);
  }

  /** @param {import("./types").Tomogram} opened */
  stream(opened) {
    this.streaming?.abort();
    const control = new AbortController();
    const brick = new Brick(opened.brick.shape, opened.brick.factor);
    this.streaming = control;
    this.brick = brick;
    const query = { name: opened.name, volume: opened.volume, slab: this.thickness };
    void fetch(address("brick", query), { signal: control.signal })
      .then((response) => (response.ok && response.body ? brick.read(response.body, opened.brick.order, this.onChange) : undefined))
      .catch(() => {
        // Aborted by another volume, or the server is unreachable, which is reported elsewhere.
        if (!control.signal.aborted && this.brick === brick) setTimeout(() => this.tomogram && this.stream(this.tomogram), 3000);
      });
  }

  /** @param {string} kind */
  async fetchPoints(kind) {
    const name = this.tomogram?.name;
    if (!name || !kind) return;
    const sheet = await get("points", { kind, tomogram: name });
    if (this.tomogram?.name !== name) return;
    this.sheets.set(kind, sheet);
    this.onChange();
  }

  async fetchPicks() {
    const name = this.tomogram?.name;
    const kind = this.kind;
    if (!name || !kind || !this.state.instant) return;
    const found = await get("picks", { kind, tomogram: name });
    if (this.tomogram?.name !== name || this.kind !== kind) return;
    this.found = found;
    this.onChange();
  }

  /** Apply a saved change; fetch the points again if an earlier change was missed.
   * @param {import("./types").Reply} reply */
  take(reply) {
    const { change, version } = reply;
    if (!change || change.tomogram !== this.tomogram?.name) return;
    const sheet = this.sheets.get(change.kind);
    if (!sheet || version <= sheet.version) return;
    if (version > sheet.version + 1) {
      void this.fetchPoints(change.kind);
      return;
    }
    const kept = sheet.points.filter((point) => !change.removed.some((gone) => isSame(point, gone)));
    this.sheets.set(change.kind, { version, points: [...kept, ...change.added] });
    this.onChange();
  }

  /** Points of a kind, including changes that are not saved yet. @param {string} kind @returns {Point[]} */
  points(kind) {
    let points = this.sheets.get(kind)?.points ?? [];
    for (const change of this.pending) {
      if (change.kind !== kind || change.tomogram !== this.tomogram?.name) continue;
      points = points.filter((point) => !change.removed.some((gone) => isSame(point, gone)));
      points = [...points, ...change.added];
    }
    return points;
  }

  /** Minimum probability of displayed picks. */
  get cut() {
    return this.threshold ?? this.found?.threshold ?? 1;
  }

  /** Picks above the threshold without a point at their position; cached until an input changes.
   * @returns {{place: Vector, probability: number}[]} */
  get shownPicks() {
    const now = [this.found, this.sheets.get(this.kind), this.pending.length, this.cut, this.kind];
    if (now.some((each, index) => each !== this.picksOf[index])) {
      this.picksOf = now;
      this.kept = this.picks();
    }
    return this.kept;
  }

  /** @returns {{place: Vector, probability: number}[]} */
  picks() {
    if (!this.found) return [];
    const known = this.points(this.kind).map(vectorOf);
    const within = this.diameter * 0.3;
    /** @type {{place: Vector, probability: number}[]} */
    const picks = [];
    for (const [x, y, z, probability] of this.found.candidates) {
      if (probability <= this.cut) continue;
      /** @type {Vector} */
      const place = [x, y, z];
      if (!known.some((other) => Math.abs(other[0] - x) < within && distance(other, place) < within)) {
        picks.push({ place, probability });
      }
    }
    return picks;
  }

  /** Move the crosshair to a position, and views that do not show it. @param {Vector} place */
  lookAt(place) {
    this.cursor = this.inside(place);
    this.follow();
    this.onChange();
  }

  /** Move the views only as far as needed to show the crosshair away from their edges. */
  follow() {
    for (const axis of [0, 1, 2]) {
      const reach = (0.42 * this.sides[axis]) / this.zoom;
      this.centre[axis] = clamp(this.centre[axis], this.cursor[axis] - reach, this.cursor[axis] + reach);
    }
  }

  /** Move the section of a plane by some voxels. @param {Plane} plane @param {number} steps */
  scroll(plane, steps) {
    if (!this.tomogram) return;
    const { w } = AXES[plane];
    /** @type {Vector} */
    const moved = [...this.cursor];
    moved[w] += steps * this.tomogram.voxelSize;
    this.cursor = this.inside(moved);
    this.onChange();
  }

  /** @param {Vector} place @returns {Vector} */
  inside(place) {
    const size = this.tomogram?.size ?? [0, 0, 0];
    return [clamp(place[0], 0, size[0]), clamp(place[1], 0, size[1]), clamp(place[2], 0, size[2])];
  }

  /** Zoom by a factor around a position. @param {number} factor @param {Vector} about */
  zoomBy(factor, about) {
    const zoom = clamp(this.zoom * factor, 0.002, 20);
    const ratio = this.zoom / zoom;
    const centre = this.centre;
    for (const axis of [0, 1, 2]) centre[axis] = about[axis] + (centre[axis] - about[axis]) * ratio;
    this.zoom = zoom;
    this.onChange();
  }
}

/** Encode a filter for a URL. @param {import("./types").Deconvolution | null} filter */
export function asText(filter) {
  return filter ? [filter.defocus, filter.voltage, filter.phase, filter.strength, filter.falloff].join(",") : "";
}

/** @param {Point} a @param {Point} b */
export function isSame(a, b) {
  return Math.abs(a.x - b.x) < SAME && Math.abs(a.y - b.y) < SAME && Math.abs(a.z - b.z) < SAME;
}
