// One plane on a canvas: slab, circles, crosshair, scale bar, and pointer gestures.

import { AXES, circleRadius, scaleBar, toScreen, toTomogram, vectorOf } from "./geometry.js";
import { deconvolved } from "./deconvolution.js";
import { asText } from "./model.js";
import { blurred, paint, windowOf } from "./picture.js";
import { address } from "./server.js";

/** @typedef {import("./types").Plane} Plane */
/** @typedef {import("./types").Vector} Vector */
/** @typedef {import("./model.js").Model} Model */

/** Delay (ms) before the picture of a section is fetched at full sampling. */
const STILL = 140;
/** Maximum movement (pixels) of the pointer during a click. */
const STEADY = 4;

/**
 * @typedef {object} Gestures
 * @property {(plane: Plane, place: Vector) => void} add
 * @property {(plane: Plane, place: Vector) => void} remove
 * @property {(plane: Plane) => void} activate
 * @property {(place: (() => Vector) | null) => void} hover Returns the pointer's position, which depends on the section
 */

/** A picture and its position in the tomogram: corner of the first pixel and size, Å along u and v.
 * @typedef {{source: CanvasImageSource, key: string, u: number, v: number, width: number, height: number}} Picture */

export class View {
  /** @param {Plane} plane @param {HTMLCanvasElement} canvas @param {Model} model @param {Gestures} gestures */
  constructor(plane, canvas, model, gestures) {
    this.plane = plane;
    this.canvas = canvas;
    this.model = model;
    this.gestures = gestures;
    this.isActive = false;
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser has no canvas");
    this.context = context;
    /** @type {Picture | null} */
    this.picture = null;
    this.wanted = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {AbortController | null} */
    this.fetching = null;
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    this.travelled = 0;
    this.turned = 0;
    this.scratch = document.createElement("canvas");
    this.attach();
  }

  attach() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.gestures.hover(null));
    canvas.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.gestures.remove(this.plane, this.placeOf(event));
    });
    canvas.addEventListener("focus", () => this.gestures.activate(this.plane));
  }

  /** @param {MouseEvent} event @returns {Vector} */
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const dx = event.clientX - box.left - box.width / 2;
    const dy = event.clientY - box.top - box.height / 2;
    return toTomogram(this.plane, dx, dy, this.model.centre, this.model.zoom, this.model.cursor);
  }

  /** @param {WheelEvent} event */
  onWheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.model.zoomBy(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.004)), this.placeOf(event));
      return;
    }
    this.turned += event.deltaMode === 1 ? event.deltaY * 30 : event.deltaY || event.deltaX;
    const steps = Math.trunc(this.turned / 30);
    if (steps === 0) return;
    this.turned -= steps * 30;
    this.model.scroll(this.plane, Math.max(-20, Math.min(20, steps)) * (event.shiftKey ? 5 : 1));
  }

  /** @param {PointerEvent} event */
  onDown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus();
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 1) this.travelled = 0;
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    this.gestures.hover(() => this.placeOf(event));
    if (!before) return;
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    if (other) {
      const from = Math.hypot(before.clientX - other.clientX, before.clientY - other.clientY);
      const to = Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY);
      if (from > 0) this.model.zoomBy(to / from, this.placeOf(event));
      this.travelled = Infinity;
    } else {
      const dx = event.clientX - before.clientX;
      const dy = event.clientY - before.clientY;
      this.travelled += Math.hypot(dx, dy);
      if (this.travelled > STEADY && event.buttons !== 2) this.pan(dx, dy);
    }
    this.pointers.set(event.pointerId, event);
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    const { u, v } = AXES[this.plane];
    /** @type {Vector} */
    const centre = [...this.model.centre];
    centre[u] -= dx / this.model.zoom;
    centre[v] += dy / this.model.zoom;
    this.model.centre = centre;
    this.model.onChange();
  }

  /** @param {PointerEvent} event */
  onUp(event) {
    const isClick = this.pointers.delete(event.pointerId) && this.travelled <= STEADY && event.button === 0;
    if (!isClick || this.pointers.size) return;
    const place = this.placeOf(event);
    if (event.shiftKey) {
      this.model.cursor = this.model.inside(place);
      this.model.onChange();
    } else {
      this.gestures.add(this.plane, place);
    }
  }

  /** Draw everything. @param {{places: Vector[], colour: string, style: "particle" | "negative"}[]} points */
  draw(points) {
    const { canvas, context, model } = this;
    const density = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * density));
    const height = Math.max(1, Math.round(box.height * density));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = "#0b0d10";
    context.fillRect(0, 0, box.width, box.height);
    if (!model.tomogram) return;
    this.refresh();
    context.translate(box.width / 2, box.height / 2);
    this.drawPicture();
    if (model.showPoints) {
      if (model.showPicks) this.drawPicks();
      for (const layer of points) this.drawPoints(layer);
      this.drawAsked();
    }
    this.drawCrosshair(box);
    context.setTransform(density, 0, 0, density, 0, 0);
    this.drawScaleBar(box);
  }

  /** Update the picture of the current section: from the brick at once, from the server after a delay. */
  refresh() {
    const { model, plane } = this;
    const { tomogram, brick } = model;
    if (!tomogram || !brick) return;
    const { w } = AXES[plane];
    const window = windowOf(tomogram.quantiles, model.low, model.high);
    const section = Math.round((model.cursor[w] - tomogram.origin[w]) / tomogram.voxelSize);
    const filter = `${model.lowPass} ${asText(tomogram.deconvolution)}`;
    const look = [tomogram.name, tomogram.volume, section, model.thickness, ...window, model.inverted, filter];
    const key = look.join(" ");
    if (this.picture?.key === key) return;
    const [start, stop] = brick.range(2 - w, section, model.thickness / tomogram.voxelSize);
    const sections = plane === "xy" ? brick.there.subarray(start, stop) : brick.there;
    const isThere = sections.every((each) => each === 1);
    const isEnough = isThere && brick.factor === 1;
    // Keep a picture at full sampling while sections of the brick arrive.
    const drawn = `${key} ${start} ${stop} ${plane === "xy" ? isThere : Math.floor(brick.received / 8) + Number(brick.isWhole)}`;
    if (this.picture?.key !== drawn && (isThere || plane !== "xy" || !this.picture)) {
      this.drawBrick(drawn, start, stop, window);
    }
    const order = plane === "xy" || brick.isWhole;
    if (isEnough || this.wanted === key || !order) return;
    this.wanted = key;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.fetchPicture(key, section, window), brick.received ? STILL : 0);
  }

  /** @param {string} key @param {number} start @param {number} stop @param {[number, number]} window */
  drawBrick(key, start, stop, window) {
    const { model, plane, scratch } = this;
    const { tomogram, brick } = model;
    if (!tomogram || !brick) return;
    const voxel = brick.factor * tomogram.voxelSize;
    const mean = brick.slab(plane, start, stop);
    const sharp = tomogram.deconvolution ? deconvolved(mean, tomogram.deconvolution, voxel) : mean;
    const slab = blurred(sharp, model.lowPass / 4 / voxel);
    scratch.width = slab.width;
    scratch.height = slab.height;
    const context = scratch.getContext("2d");
    if (!context) return;
    const pixels = context.createImageData(slab.width, slab.height);
    paint(slab, window, model.inverted, pixels.data);
    context.putImageData(pixels, 0, 0);
    this.picture = this.placed(scratch, key, slab.width * voxel, slab.height * voxel);
  }

  /** @param {CanvasImageSource} source @param {string} key @param {number} width @param {number} height @returns {Picture} */
  placed(source, key, width, height) {
    const { tomogram } = this.model;
    const { u, v } = AXES[this.plane];
    const half = (tomogram?.voxelSize ?? 1) / 2;
    const origin = tomogram?.origin ?? [0, 0, 0];
    return { source, key, u: origin[u] - half, v: origin[v] - half, width, height };
  }

  /** @param {string} key @param {number} section @param {[number, number]} window */
  async fetchPicture(key, section, window) {
    const { model, plane } = this;
    const { tomogram } = model;
    if (!tomogram || this.wanted !== key) return;
    this.fetching?.abort();
    const control = new AbortController();
    this.fetching = control;
    const { u, v, w } = AXES[plane];
    const query = {
      name: tomogram.name, volume: tomogram.volume, plane, slab: model.thickness,
      position: (section * tomogram.voxelSize + tomogram.origin[w]).toFixed(3),
      low: window[0].toFixed(2), high: window[1].toFixed(2), invert: Number(model.inverted), lowpass: model.lowPass,
      deconvolve: asText(tomogram.deconvolution),
    };
    try {
      const response = await fetch(address("section", query), { signal: control.signal });
      if (!response.ok) return;
      const image = await createImageBitmap(await response.blob());
      if (this.wanted !== key) return;
      const sides = [tomogram.shape[2], tomogram.shape[1], tomogram.shape[0]];
      this.picture = this.placed(image, key, sides[u] * tomogram.voxelSize, sides[v] * tomogram.voxelSize);
      model.onChange();
    } catch {
      if (this.wanted === key) this.wanted = "";
    }
  }

  drawPicture() {
    const { context, model, picture } = this;
    if (!picture) return;
    const { u, v } = AXES[this.plane];
    const left = (picture.u - model.centre[u]) * model.zoom;
    const bottom = (model.centre[v] - picture.v) * model.zoom;
    context.save();
    context.translate(left, bottom);
    context.scale(1, -1); // Rows go upwards, as in 3dmod.
    context.imageSmoothingQuality = "high";
    context.drawImage(picture.source, 0, 0, picture.width * model.zoom, picture.height * model.zoom);
    context.restore();
  }

  /** @param {{places: Vector[], colour: string, style: "particle" | "negative"}} layer */
  drawPoints(layer) {
    const { context, model } = this;
    context.lineWidth = 2;
    context.strokeStyle = layer.style === "negative" ? "#ff5d5d" : layer.colour;
    context.beginPath();
    for (const place of layer.places) {
      const [x, y, shown] = this.circle(place);
      if (shown === 0) continue;
      context.moveTo(x + shown, y);
      context.arc(x, y, shown, 0, 2 * Math.PI);
      if (layer.style === "negative") {
        const arm = shown * Math.SQRT1_2;
        context.moveTo(x - arm, y - arm);
        context.lineTo(x + arm, y + arm);
      } else if (Math.abs(place[AXES[this.plane].w] - model.cursor[AXES[this.plane].w]) < model.diameter / 12) {
        context.moveTo(x + 1.5, y);
        context.arc(x, y, 1.5, 0, 2 * Math.PI);
      }
    }
    context.stroke();
  }

  drawPicks() {
    const { context, model } = this;
    const colour = model.chosen?.colour ?? "#ffffff";
    // More probable picks are drawn stronger, in three strokes regardless of their number.
    const layers = [{ from: 0.8, alpha: 0.95 }, { from: 0.5, alpha: 0.65 }, { from: 0, alpha: 0.4 }];
    let above = Infinity;
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    const picks = model.shownPicks;
    for (const { from, alpha } of layers) {
      context.globalAlpha = alpha;
      context.beginPath();
      for (const { place, probability } of picks) {
        if (probability < from || probability >= above) continue;
        const [x, y, shown] = this.circle(place);
        if (shown === 0) continue;
        context.moveTo(x + shown, y);
        context.arc(x, y, shown, 0, 2 * Math.PI);
      }
      context.stroke();
      above = from;
    }
    context.globalAlpha = 1;
  }

  drawAsked() {
    const { context, model } = this;
    if (!model.asked || model.asked.tomogram !== model.tomogram?.name) return;
    const [x, y, shown] = this.circle(model.asked.position);
    if (shown === 0) return;
    context.strokeStyle = "#ffe45c";
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    context.beginPath();
    context.arc(x, y, shown * 1.12, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }

  /** @param {Vector} place @returns {[number, number, number]} x, y and radius in pixels; radius 0 if the section does not cut it */
  circle(place) {
    const { model } = this;
    const { w } = AXES[this.plane];
    const shown = circleRadius(model.diameter / 2, place[w] - model.cursor[w]) * model.zoom;
    if (shown === 0) return [0, 0, 0];
    const [x, y] = toScreen(this.plane, place, model.centre, model.zoom);
    return [x, y, Math.max(1.5, shown)];
  }

  /** @param {DOMRect} box */
  drawCrosshair(box) {
    const { context, model } = this;
    const [x, y] = toScreen(this.plane, model.cursor, model.centre, model.zoom);
    const gap = Math.max(6, (model.diameter / 2) * model.zoom * 1.15);
    context.strokeStyle = this.isActive ? "rgba(120, 190, 255, 0.75)" : "rgba(150, 170, 190, 0.4)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(-box.width, y);
    context.lineTo(x - gap, y);
    context.moveTo(x + gap, y);
    context.lineTo(box.width, y);
    context.moveTo(x, -box.height);
    context.lineTo(x, y - gap);
    context.moveTo(x, y + gap);
    context.lineTo(x, box.height);
    context.stroke();
  }

  /** @param {DOMRect} box */
  drawScaleBar(box) {
    const { context } = this;
    const { length, label } = scaleBar(this.model.zoom, Math.min(160, box.width / 3));
    const pixels = length * this.model.zoom;
    context.fillStyle = "rgba(8, 10, 12, 0.65)";
    context.fillRect(8, box.height - 36, pixels + 16, 28);
    context.fillStyle = "#f2f5f8";
    context.fillRect(16, box.height - 16, pixels, 3);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    context.fillText(label, 16, box.height - 21);
    context.fillStyle = "#aab4bf";
    context.fillText(this.plane, 10, 18);
  }
}

/** @param {import("./types").Point[]} points @param {"particle" | "negative"} label */
export function placesOf(points, label) {
  return points.filter((point) => point.label === label).map(vectorOf);
}
