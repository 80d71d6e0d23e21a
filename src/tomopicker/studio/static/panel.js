// The toolbar and the side panel: contrast, kinds, picks, suggestions, the mean, files.

import { fill, find, fixed, make, toast } from "./dom.js";
import { expectation } from "./geometry.js";
import { Refused, address, get, post, upload } from "./server.js";

/** @typedef {import("./types").Vector} Vector */

/** Delay (ms) after the last click before mean and check are updated. */
const QUIET = 700;
/** Maximum delay (ms) while waiting for picks. */
const LATEST = 15000;
const DECONVOLUTION = /** @type {const} */ (["defocus", "voltage", "phase", "strength", "falloff"]);

export class Panel {
  /** @param {import("./main.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.meanUrl = "";
    this.features = "";
    this.hasChosenSource = false;
    /** True while picks of saved clicks are awaited. */
    this.awaitsPicks = false;
    this.attach();
  }

  get model() {
    return this.app.model;
  }

  attach() {
    const { state } = this.model;
    const tomogram = find("tomogram", HTMLSelectElement);
    fill(tomogram, ...state.tomograms.map((each) => make("option", { value: each.name }, each.name)));
    tomogram.addEventListener("change", () => void this.app.goTo(tomogram.value));
    find("tomogram-last", HTMLButtonElement).addEventListener("click", () => this.app.visitTomogram(-1));
    find("tomogram-next", HTMLButtonElement).addEventListener("click", () => this.app.visitTomogram(1));
    find("volume", HTMLSelectElement).addEventListener("change", () => this.openVolume(find("volume", HTMLSelectElement).value));
    const slab = find("slab", HTMLInputElement);
    slab.addEventListener("change", () => {
      this.model.slab = Math.max(0, Number(slab.value) || 0);
      void this.model.remeasure().catch((error) => this.app.fail(error));
    });
    for (const end of /** @type {("low" | "high")[]} */ (["low", "high"])) {
      const input = find(end, HTMLInputElement);
      input.addEventListener("input", () => {
        this.model[end] = Number(input.value);
        if (this.model.low >= this.model.high) this.model[end] = end === "low" ? this.model.high - 1 : this.model.low + 1;
        this.app.redraw();
      });
    }
    find("invert", HTMLInputElement).addEventListener("change", () => this.invert());
    const filter = find("lowpass", HTMLInputElement);
    filter.addEventListener("change", () => {
      this.model.lowPass = Math.min(10000, Math.max(0, Number(filter.value) || 0));
      this.app.redraw();
    });
    for (const id of DECONVOLUTION) find(id, HTMLInputElement).addEventListener("change", () => this.deconvolve());
    find("kind-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.addKind();
    });
    const cut = find("cut", HTMLInputElement);
    cut.addEventListener("input", () => {
      this.model.threshold = Number(cut.value) / 100;
      this.app.redraw();
    });
    find("cut-own", HTMLButtonElement).addEventListener("click", () => {
      this.model.threshold = null;
      this.app.redraw();
    });
    const picks = find("show-picks", HTMLInputElement);
    picks.addEventListener("change", () => {
      this.model.showPicks = picks.checked;
      this.app.redraw();
    });
    find("ask", HTMLButtonElement).addEventListener("click", () => void this.app.ask());
    find("yes", HTMLButtonElement).addEventListener("click", () => this.app.answer("particle"));
    find("no", HTMLButtonElement).addEventListener("click", () => this.app.answer("negative"));
    find("undo", HTMLButtonElement).addEventListener("click", () => this.app.undo());
    find("redo", HTMLButtonElement).addEventListener("click", () => this.app.redo());
    const program = find("program", HTMLSelectElement);
    fill(program, ...state.programs.map((each) => make("option", { value: each.name }, each.title)));
    find("source", HTMLSelectElement).addEventListener("change", () => {
      this.hasChosenSource = true;
    });
    elsewhere().link.addEventListener("click", () => this.app.show("tomograms"));
    find("save", HTMLButtonElement).addEventListener("click", () => void this.save());
    const file = find("file", HTMLInputElement);
    file.addEventListener("change", () => void this.openFile(file));
    find("project", HTMLElement).textContent = state.project;
    find("version", HTMLElement).textContent = `TomoPicker ${state.version}`;
  }

  // ---- display

  show() {
    const { model } = this;
    const { tomogram } = model;
    if (!tomogram) return;
    find("tomogram", HTMLSelectElement).value = tomogram.name;
    const volumes = model.state.tomograms.find((each) => each.name === tomogram.name)?.volumes ?? [];
    const volume = find("volume", HTMLSelectElement);
    find("volume-part", HTMLElement).hidden = volumes.length < 2;
    if (volume.dataset.of !== volumes.join("\n")) {
      fill(volume, ...volumes.map((name) => make("option", { value: name }, name)));
      volume.dataset.of = volumes.join("\n");
    }
    volume.value = tomogram.volume;
    find("slab", HTMLInputElement).placeholder = fixed(model.diameter / 2, 0);
    find("low", HTMLInputElement).value = String(model.low);
    find("high", HTMLInputElement).value = String(model.high);
    find("contrast", HTMLElement).textContent = `${model.low}–${model.high}%`;
    const filters = [
      ...(model.lowPass > 0 ? [`low-pass ${model.lowPass} Å`] : []),
      ...(tomogram.deconvolution ? [`deconvolved, defocus ${tomogram.deconvolution.defocus} µm`] : []),
    ];
    find("filtered", HTMLElement).hidden = filters.length === 0;
    find("filtered", HTMLElement).textContent = `display only: ${filters.join("; ")}`;
    find("undo", HTMLButtonElement).disabled = model.state.undo === 0;
    find("redo", HTMLButtonElement).disabled = model.state.redo === 0;
    const points = model.points(model.kind);
    const particles = points.filter((point) => point.label === "particle").length;
    find("clicked", HTMLElement).textContent = `${particles} clicked here` +
      (points.length > particles ? `, ${points.length - particles} negative` : "");
    const z = Math.round((model.cursor[2] - tomogram.origin[2]) / tomogram.voxelSize);
    find("section", HTMLElement).textContent =
      `section ${z + 1} of ${tomogram.shape[0]}, slab ${fixed(Math.max(model.thickness, tomogram.voxelSize), 0)} Å`;
    const brick = model.brick;
    find("loading", HTMLElement).hidden = !brick || brick.isWhole;
    if (brick && !brick.isWhole) {
      find("loading", HTMLElement).textContent = `volume ${Math.round((100 * brick.received) / brick.shape[0])}%`;
    }
    find("hint", HTMLElement).textContent = hint(model.kind, points.length, model.found?.candidates.length ?? 0, model.state.instant);
    find("hint", HTMLElement).hidden = !find("hint", HTMLElement).textContent;
    this.showPicks();
  }

  showPicks() {
    const { model } = this;
    const { found } = model;
    const { asked } = model;
    find("question", HTMLElement).hidden = !asked;
    if (asked) {
      const chance = asked.probability === null ? "" : ` (probability ${fixed(asked.probability, 2)})`;
      find("reason", HTMLElement).textContent = `Is this a particle? It is ${asked.reason}${chance}.`;
    }
    const ask = find("ask", HTMLButtonElement);
    ask.hidden = Boolean(asked);
    ask.disabled = this.app.isAsking;
    ask.textContent = this.app.isAsking ? "Looking for a candidate…" : "Suggest a candidate";
    if (!found) {
      for (const id of ["count", "interval", "expected"]) find(id, HTMLElement).textContent = "";
      return;
    }
    const state = found.trouble ? found.trouble : found.features === "ready" ? "" : this.features || "features are being computed…";
    find("features", HTMLElement).textContent = state;
    find("progress", HTMLProgressElement).hidden = found.features === "ready" || Boolean(found.trouble);
    const isThere = found.candidates.length > 0;
    this.showElsewhere(found.elsewhere);
    if (isThere && !this.hasChosenSource) find("source", HTMLSelectElement).value = "instant";
    find("cut-part", HTMLElement).hidden = !isThere;
    if (!isThere) {
      find("count", HTMLElement).textContent = found.features === "ready" && !found.trouble ? "Click a particle, and picks appear." : "";
      for (const id of ["interval", "expected"]) find(id, HTMLElement).textContent = "";
      return;
    }
    const probabilities = found.candidates.map((row) => row[3]);
    const now = expectation(probabilities, model.cut, found.particles);
    const { count } = found;
    find("count", HTMLElement).textContent = now.count === 1 ? "1 pick" : `${now.count} picks`;
    find("interval", HTMLElement).textContent = count
      ? `of about ${fixed(count[0], 0)} particles (90% interval ${fixed(count[1], 0)} to ${fixed(count[2], 0)})` : "";
    find("expected", HTMLElement).textContent = `expected: precision ${fixed(now.precision, 2)}, recall ${fixed(now.recall, 2)}`;
    find("cut", HTMLInputElement).value = String(Math.round(model.cut * 100));
    find("cut-value", HTMLElement).textContent = fixed(model.cut, 2);
    find("cut-own", HTMLButtonElement).disabled = model.threshold === null;
  }

  /** @param {import("./types").Candidates["elsewhere"]} others */
  showElsewhere({ tomograms, done, picks }) {
    const { place, text } = elsewhere();
    place.hidden = done === 0;
    text.textContent = done === tomograms ? `${picks} picks in the other ${tomograms === 1 ? "tomogram" : `${tomograms} tomograms`};`
      : `${picks} picks in ${done} of ${tomograms} other tomograms so far;`;
  }

  /** @param {Vector | null} place */
  showPlace(place) {
    const { tomogram } = this.model;
    const isInside = place && tomogram && place.every((value, axis) => value >= tomogram.origin[axis] && value <= tomogram.size[axis]);
    const text = !isInside ? "" : `x ${fixed(place[0], 0)}  y ${fixed(place[1], 0)}  z ${fixed(place[2], 0)} Å   voxel ` +
      place.map((value, axis) => fixed((value - tomogram.origin[axis]) / tomogram.voxelSize, 0)).join(", ");
    find("place", HTMLElement).textContent = text;
  }

  /** @param {number} waiting @param {boolean} offline */
  showSaving(waiting, offline) {
    const place = find("saved", HTMLElement);
    place.textContent = waiting === 0 ? "saved" : offline ? `${waiting} waiting for the server` : "saving…";
    place.className = waiting && offline ? "bad" : "";
  }

  /** @param {string | null} trouble */
  showTrouble(trouble) {
    const place = find("trouble", HTMLElement);
    place.hidden = !trouble;
    place.textContent = trouble ? `Not saved: ${trouble}. It is tried again every second.` : "";
  }

  /** @param {boolean} open */
  showLine(open) {
    find("line", HTMLElement).hidden = open;
  }

  /** @param {{tomogram: string, state: string, done?: number, total?: number, reason?: string}} event */
  showFeatures(event) {
    if (event.tomogram !== this.model.tomogram?.name) return;
    const bar = find("progress", HTMLProgressElement);
    if (event.state === "computing") {
      bar.max = event.total ?? 1;
      bar.value = event.done ?? 0;
      this.features = `features: ${Math.round((100 * bar.value) / bar.max)}%`;
      if (this.model.found) this.model.found.features = "computing";
      this.app.redraw();
    } else {
      this.features = "";
      void this.model.fetchPicks().catch((error) => this.app.fail(error));
    }
  }

  // ---- contrast and volumes

  invert() {
    this.model.inverted = !this.model.inverted;
    find("invert", HTMLInputElement).checked = this.model.inverted;
    this.app.redraw();
  }

  /** Set the display filter; a defocus of 0 or none disables it. */
  deconvolve() {
    const values = DECONVOLUTION.map((id) => {
      const input = find(id, HTMLInputElement);
      const value = Math.min(Number(input.max), Math.max(Number(input.min), Number(input.value) || 0));
      if (input.value) input.value = String(value);
      return value;
    });
    const [defocus, voltage, phase, strength, falloff] = values;
    const isOn = find("defocus", HTMLInputElement).value !== "" && (defocus > 0 || phase > 0);
    find("deconvolution", HTMLElement).hidden = find("defocus", HTMLInputElement).value === "";
    this.model.deconvolution = isOn ? { defocus, voltage, phase, strength, falloff } : null;
    void this.model.remeasure().catch((error) => this.app.fail(error));
  }

  nextVolume() {
    const volume = find("volume", HTMLSelectElement);
    const names = [...volume.options].map((option) => option.value);
    if (names.length < 2) toast("This tomogram has one volume; give others with --other-volume.");
    else this.openVolume(names[(names.indexOf(volume.value) + 1) % names.length]);
  }

  /** @param {string} name */
  openVolume(name) {
    const { tomogram } = this.model;
    if (tomogram) void this.model.open(tomogram.name, name).catch((error) => this.app.fail(error));
  }

  // ---- kinds

  kindsChanged() {
    const { model } = this;
    if (!model.chosen) {
      model.kind = model.state.kinds[0]?.name ?? "";
      model.found = null;
      model.asked = null;
      void model.fetchPicks().catch((error) => this.app.fail(error));
    }
    for (const { name } of model.state.kinds.filter((kind) => !model.sheets.has(kind.name))) {
      void model.fetchPoints(name).catch((error) => this.app.fail(error)); // A kind added by another page or restored by undo.
    }
    const rows = model.state.kinds.map((kind, index) => {
      const colour = make("input", { type: "color", value: kind.colour, title: `colour of ${kind.name}`, "aria-label": `colour of ${kind.name}` });
      colour.addEventListener("change", () => void this.setKind(kind.name, kind.diameter, colour.value));
      const wide = make("input", { type: "number", min: 1, step: "any", value: kind.diameter, title: "diameter, Å", "aria-label": `diameter of ${kind.name}, Å` });
      wide.addEventListener("change", () => void this.setKind(kind.name, Number(wide.value), kind.colour));
      const choose = make("button", { type: "button", class: "kind", "aria-pressed": String(kind.name === model.kind) }, kind.name);
      choose.addEventListener("click", () => this.chooseKind(index));
      return make("li", {}, colour, choose, wide, make("span", { class: "unit" }, "Å"));
    });
    fill(find("kinds", HTMLElement), ...rows);
    find("kind-add", HTMLDetailsElement).open = rows.length === 0;
    find("kind-summary", HTMLElement).textContent = rows.length ? "Another kind" : "Which particle?";
    find("clicked", HTMLElement).hidden = rows.length === 0;
    find("picks-part", HTMLElement).hidden = rows.length === 0 || !model.state.instant;
    this.app.redraw();
  }

  /** @param {number} index */
  chooseKind(index) {
    const kind = this.model.state.kinds[index];
    if (!kind) return;
    this.model.kind = kind.name;
    this.model.found = null;
    this.model.asked = null;
    this.model.threshold = null;
    this.app.suggestions = [];
    this.kindsChanged();
    this.pointsChanged();
    void this.model.fetchPicks().catch((error) => this.app.fail(error));
    void this.model.remeasure().catch((error) => this.app.fail(error));
    void this.app.review.changed();
  }

  async addKind() {
    const name = find("kind-name", HTMLInputElement);
    const diameter = find("kind-diameter", HTMLInputElement);
    if (await this.setKind(name.value.trim(), Number(diameter.value))) {
      this.chooseKind(this.model.state.kinds.findIndex((kind) => kind.name === name.value.trim()));
      name.value = "";
      diameter.value = "";
      find("xy", HTMLElement).focus();
    }
  }

  /** @param {string} name @param {number} diameter @param {string} [colour] */
  async setKind(name, diameter, colour) {
    try {
      const made = await post("kind", { name, diameter, ...(colour ? { colour } : {}) });
      const kinds = this.model.state.kinds.filter((kind) => kind.name !== made.name);
      const at = this.model.state.kinds.findIndex((kind) => kind.name === made.name);
      kinds.splice(at < 0 ? kinds.length : at, 0, made);
      this.model.state.kinds = kinds;
      this.kindsChanged();
      if (at < 0) await this.model.fetchPoints(made.name);
      return true;
    } catch (error) {
      this.app.fail(error);
      return false;
    }
  }

  // ---- mean and check, updated after a delay so that they do not slow down picks

  pointsChanged() {
    this.awaitsPicks = this.model.found?.features === "ready";
    this.measureSoon();
  }

  picksCame() {
    if (!this.awaitsPicks) return;
    this.awaitsPicks = false;
    this.measureSoon();
  }

  measureSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.measure(), this.awaitsPicks ? LATEST : QUIET);
  }

  async measure() {
    const { kind } = this.model;
    if (!kind) return;
    try {
      const response = await fetch(address("mean", { kind, invert: Number(this.model.inverted) }));
      const image = find("mean", HTMLImageElement);
      const isThere = response.status === 200;
      find("mean-part", HTMLElement).hidden = !isThere;
      if (!isThere) {
        fill(find("check", HTMLElement));
        return;
      }
      URL.revokeObjectURL(this.meanUrl);
      this.meanUrl = URL.createObjectURL(await response.blob());
      image.src = this.meanUrl;
      const count = Number(response.headers.get("x-particles"));
      find("mean-of", HTMLElement).textContent = count === 1 ? "the particle clicked" : `mean of ${count} clicked`;
      await this.check(kind, count);
    } catch (error) {
      if (error instanceof Refused) this.app.fail(error);
    }
  }

  /** @param {string} kind @param {number} count */
  async check(kind, count) {
    const list = find("check", HTMLElement);
    if (count < 5) {
      fill(list);
      return;
    }
    /** @type {import("./types").Finding[]} */
    const findings = await get("check", { kind });
    const open = findings.filter((each) => each.status !== "PASS");
    const rows = open.map((each) => make("li", { class: each.status === "FAIL" ? "bad" : each.fix ? "doubt" : "dim" }, `${each.test}: ${each.message}`,
      ...(each.fix ? [make("small", {}, each.fix)] : [])));
    fill(list, ...(rows.length ? rows : [make("li", { class: "good" }, `${findings.length} tests of the clicks: no fault found`)]));
  }

  // ---- files

  async save() {
    const program = find("program", HTMLSelectElement).value;
    const source = find("source", HTMLSelectElement).value;
    const place = find("saved-files", HTMLElement);
    try {
      const reply = await post("save", { kind: this.model.kind, program, source, threshold: this.model.threshold });
      const more = reply.files.length > 1 ? ` and ${reply.files.length - 1} more beside it` : "";
      fill(place, make("p", {}, `${reply.picks} saved: `, make("code", {}, reply.files[0]), more), make("p", {}, reply.advice));
    } catch (error) {
      fill(place);
      this.app.fail(error);
    }
  }

  /** @param {HTMLInputElement} input */
  async openFile(input) {
    const file = input.files?.[0];
    if (!file) return;
    try {
      const reply = await upload({ kind: this.model.kind, file: file.name }, file);
      const total = Object.values(reply.added).reduce((sum, count) => sum + Number(count), 0);
      toast([`${total} points of ${Object.keys(reply.added).length} tomograms read from ${file.name}.`, ...reply.warnings].join(" "));
    } catch (error) {
      this.app.fail(error);
    }
    input.value = "";
  }
}

/** Describe the picks of the other tomograms. */
function elsewhere() {
  const place = find("elsewhere", HTMLElement);
  const [text, link] = place.children;
  return { place, text, link };
}

/**
 * Return a hint on the next step for new users; empty if none is needed.
 * @param {string} kind @param {number} points @param {number} candidates In the open tomogram @param {boolean} isInstant
 */
export function hint(kind, points, candidates, isInstant) {
  if (!kind) return "Start here: name the particle, and give its diameter in Å.";
  if (points === 0) return candidates ? "" : "Now click the middle of a particle in the picture. Wheel: other sections. Drag: move. Ctrl-wheel: zoom. ? shows all keys.";
  if (points >= 5 || !isInstant) return "";
  return candidates
    ? `${points} clicked. Thin circles are picks: they get better with five clicks or more. Right-click a wrong one.`
    : `${points} clicked, and centred in depth (xz, yz). Click four or five: picks appear when the features are there.`;
}
