// The application: connects the model, the three views, the panel and the pages.

import { find, fill, make, toast } from "./dom.js";
import { AXES, PLANES, hit, nearest, vectorOf } from "./geometry.js";
import { Model } from "./model.js";
import { View, placesOf } from "./view.js";
import { KEYS, meaning } from "./keys.js";
import { Panel } from "./panel.js";
import { ReviewPage } from "./review.js";
import { TomogramsPage } from "./tomograms.js";
import { JobsPage } from "./jobs.js";
import { Outbox, get, listen } from "./server.js";

/** @typedef {import("./types").Plane} Plane */
/** @typedef {import("./types").Vector} Vector */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Label} Label */

const PAGES = ["pick", "review", "tomograms", "jobs"];

export class App {
  /** @param {import("./types").State} state */
  constructor(state) {
    this.isDrawing = false;
    this.isAsking = false;
    /** @type {Plane} */
    this.active = "xy";
    this.page = "pick";
    /** @type {import("./types").Suggestion[]} */
    this.suggestions = [];
    /** Position of the pointer. @type {(() => Vector) | null} */
    this.pointed = null;
    this.lastRedo = 0;
    this.wasOff = false;
    this.model = new Model(state, () => this.redraw());
    const gestures = {
      add: (/** @type {Plane} */ plane, /** @type {Vector} */ place) => this.add(plane, place),
      remove: (/** @type {Plane} */ plane, /** @type {Vector} */ place) => this.removeAt(plane, place),
      activate: (/** @type {Plane} */ plane) => this.activate(plane),
      hover: (/** @type {(() => Vector) | null} */ pointed) => {
        this.pointed = pointed;
        this.panel.showPlace(pointed?.() ?? null);
      },
    };
    this.views = PLANES.map((plane) => new View(plane, find(plane, HTMLCanvasElement), this.model, gestures));
    this.panel = new Panel(this);
    this.review = new ReviewPage(this);
    this.tomograms = new TomogramsPage(this);
    this.jobs = new JobsPage(this);
    this.outbox = new Outbox(
      `tomopicker ${state.project}`,
      (reply) => this.onSaved(reply),
      (message) => {
        toast(message, "error");
        this.redraw();
      },
      (waiting, offline) => this.panel.showSaving(waiting, offline),
    );
    this.panel.showTrouble(state.trouble);
    document.addEventListener("keydown", (event) => this.onKey(event));
    window.addEventListener("resize", () => this.redraw());
    new ResizeObserver(() => this.redraw()).observe(find("views", HTMLElement));
    for (const page of PAGES) find(`go-${page}`, HTMLButtonElement).addEventListener("click", () => this.show(page));
    find("go-help", HTMLButtonElement).addEventListener("click", () => this.help());
    listen((event) => this.onEvent(event), (open) => this.onLine(open));
  }

  // ---- display

  redraw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      this.draw();
    });
  }

  draw() {
    const { model } = this;
    this.panel.show();
    if (this.page !== "pick") return;
    this.panel.showPlace(this.pointed?.() ?? null);
    /** @type {{places: Vector[], colour: string, style: Label}[]} */
    const layers = [];
    for (const kind of model.state.kinds) {
      const points = model.points(kind.name);
      layers.push({ places: placesOf(points, "particle"), colour: kind.colour, style: "particle" });
      if (kind.name === model.kind) layers.push({ places: placesOf(points, "negative"), colour: kind.colour, style: "negative" });
    }
    const [xy, xz, yz] = this.views.map((view) => view.canvas.getBoundingClientRect());
    model.sides = [xy.width, xy.height, Math.min(xz.height, yz.width)];
    for (const view of this.views) {
      view.isActive = view.plane === this.active;
      view.canvas.classList.toggle("active", view.isActive);
      view.draw(layers);
    }
  }

  /** @param {string} page */
  show(page) {
    this.page = page;
    for (const name of PAGES) {
      find(`page-${name}`, HTMLElement).hidden = name !== page;
      find(`go-${name}`, HTMLButtonElement).setAttribute("aria-current", String(name === page));
    }
    if (page === "review") void this.review.open();
    if (page === "tomograms") void this.tomograms.open();
    if (page === "jobs") void this.jobs.open();
    location.hash = page;
    this.redraw();
  }

  /** @param {Plane} plane */
  activate(plane) {
    this.active = plane;
    this.redraw();
  }

  fit() {
    const { model } = this;
    if (!model.tomogram) return;
    const { size } = model.tomogram;
    const box = find("xy", HTMLElement).getBoundingClientRect();
    const [wide, high] = [Math.max(size[0], 1), Math.max(size[1], 1)];
    model.zoom = Math.max(0.002, 0.96 * Math.min(box.width / wide, box.height / high));
    model.centre = [size[0] / 2, size[1] / 2, size[2] / 2];
    this.redraw();
  }

  /** Open a tomogram and move to a position in it. @param {string} name @param {Vector} [place] */
  async goTo(name, place) {
    try {
      const isOther = await this.model.open(name);
      if (isOther) {
        this.fit();
        for (const warning of this.model.tomogram?.warnings ?? []) toast(warning, "error");
      }
      if (place) this.model.lookAt(place);
      localStorage.setItem(`tomopicker at ${this.model.state.project}`, name);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {unknown} error */
  fail(error) {
    toast(error instanceof Error ? error.message : String(error), "error");
  }

  // ---- actions

  /** @param {Point[]} added @param {Point[]} removed @param {number | null} [refine] The axis that is not visible
   * @param {string} [tomogram] @param {string} [kind] */
  act(added, removed, refine = null, tomogram = this.model.tomogram?.name ?? "", kind = this.model.kind) {
    if (!tomogram || !kind) {
      toast("Name a kind of particle first, at the top of the panel.");
      return;
    }
    const change = { kind, tomogram, added, removed };
    const isShown = tomogram === this.model.tomogram?.name;
    if (isShown) this.model.pending.push(change);
    const body = refine === null ? change : { ...change, refine };
    const sent = this.outbox.send("act", body);
    void sent.then(() => {
      this.model.pending = this.model.pending.filter((other) => other !== change);
      this.redraw();
    });
    this.redraw();
  }

  /** @param {Vector} place @param {Label} [label] @param {string} [origin] @returns {Point} */
  point(place, label = "particle", origin = "click") {
    const [x, y, z] = place.map((value) => Math.round(value * 1000) / 1000);
    return { x, y, z, label, origin };
  }

  /** Handle a click: move to a point, confirm a pick, or add a particle elsewhere.
   * @param {Plane} plane @param {Vector} place */
  add(plane, place) {
    const { model } = this;
    if (!model.tomogram) return;
    if (!model.kind) {
      toast("Name a kind of particle first, at the top of the panel.");
      find("kind-name", HTMLInputElement).focus();
      return;
    }
    const inside = model.inside(place);
    if (Math.max(...inside.map((value, axis) => Math.abs(value - place[axis]))) > model.tomogram.voxelSize) return;
    const places = model.points(model.kind).map(vectorOf);
    const least = 4 / model.zoom;
    const known = hit(places, plane, inside, model.diameter / 2, least);
    if (known >= 0) {
      model.cursor = places[known];
      this.redraw();
      return;
    }
    const picks = model.showPicks && model.showPoints ? model.shownPicks.map((pick) => pick.place) : [];
    const pick = hit(picks, plane, inside, model.diameter / 2, least);
    // Keep the section for further clicks; the other two views move to the particle.
    model.cursor = inside;
    const { u, v, w } = AXES[plane];
    if (pick >= 0) for (const axis of [u, v]) model.cursor[axis] = picks[pick][axis];
    this.act([this.point(pick >= 0 ? picks[pick] : inside)], [], pick >= 0 ? null : w);
  }

  /** @param {Plane} plane @param {Vector} place */
  removeAt(plane, place) {
    const { model } = this;
    const points = model.points(model.kind);
    const index = hit(points.map(vectorOf), plane, place, model.diameter / 2, 6 / model.zoom);
    if (index >= 0) {
      this.act([], [points[index]]);
      return;
    }
    // A removed pick becomes a negative; otherwise it would reappear.
    const picks = model.shownPicks.map((pick) => pick.place);
    const pick = model.showPicks ? hit(picks, plane, place, model.diameter / 2, 6 / model.zoom) : -1;
    if (pick >= 0) this.act([this.point(picks[pick], "negative", "pick")], []);
  }

  /** Return the point at the crosshair, if any. @returns {Point | undefined} */
  get atCursor() {
    const points = this.model.points(this.model.kind);
    const index = nearest(points.map(vectorOf), this.model.cursor, this.model.diameter / 2);
    return points[index];
  }

  removeAtCursor() {
    const point = this.atCursor;
    if (point) this.act([], [point]);
    else this.removeAt(this.active, this.model.cursor);
  }

  negative() {
    if (this.model.asked) {
      this.answer("negative");
      return;
    }
    const point = this.atCursor;
    if (!point) this.act([this.point(this.model.cursor, "negative")], []);
    else this.act([{ ...point, label: point.label === "particle" ? "negative" : "particle" }], [point]);
  }

  /** Move to the next candidate to label. */
  async ask() {
    const { model } = this;
    if (this.isAsking) return;
    try {
      if (!this.suggestions.length) await this.fetchSuggestions();
      model.asked = this.suggestions.shift() ?? null;
      if (!model.asked) toast("There is nothing to suggest: features are not ready, or all candidates are known.");
      else await this.goTo(model.asked.tomogram, model.asked.position);
      this.redraw();
    } catch (error) {
      this.fail(error);
    }
  }

  async fetchSuggestions() {
    this.isAsking = true;
    this.redraw();
    try {
      await this.outbox.delivered(); // What was answered just now must not be asked again.
      this.suggestions = await get("suggest", { kind: this.model.kind, count: 10 });
    } finally {
      this.isAsking = false;
      this.redraw();
    }
  }

  /** @param {Label} label */
  answer(label) {
    const { asked } = this.model;
    if (!asked) return;
    this.act([this.point(asked.position, label, "suggestion")], [], null, asked.tomogram);
    this.model.asked = null;
    // The remaining suggestions do not take this answer into account; new ones arrive with the picks.
    if (this.suggestions.length <= 6) this.suggestions = [];
    void this.ask();
  }

  undo() {
    void this.outbox.sendAfter("undo");
  }

  redo() {
    void this.outbox.sendAfter("redo");
  }

  // ---- navigation

  /** @param {Vector[]} places @param {number} direction */
  visit(places, direction) {
    if (!places.length) {
      toast("There is none here.");
      return;
    }
    const at = nearest(places, this.model.cursor, 1);
    const next = at < 0 ? (direction > 0 ? 0 : places.length - 1) : (at + direction + places.length) % places.length;
    this.model.lookAt(places[next]);
  }

  /** @param {number} direction */
  visitTomogram(direction) {
    const names = this.model.state.tomograms.map((each) => each.name);
    const at = names.indexOf(this.model.tomogram?.name ?? "");
    void this.goTo(names[(at + direction + names.length) % names.length]);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    const isText = target.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
    const help = find("help", HTMLDialogElement);
    if (help.open) return;
    if (event.key === "Escape") {
      target.blur();
      this.model.asked = null;
      this.redraw();
      return;
    }
    const act = meaning(event);
    if (!act || (isText && act !== "page")) return;
    if ((event.key === "Enter" || event.key === " ") && target.matches("button, summary, a, input")) return;
    if (target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    if (this.page === "review" && this.review.onKey(event, act)) {
      event.preventDefault();
      return;
    }
    const always = ["undo", "redo", "page", "help"].includes(act);
    if (!always && this.page !== "pick") return;
    event.preventDefault();
    this.do(act, event);
  }

  /** @param {string} act @param {KeyboardEvent} event */
  do(act, event) {
    const { model } = this;
    const far = event.shiftKey ? 10 : 1;
    /** @type {Record<string, () => void>} */
    const acts = {
      move: () => this.moveCursor(event.key, far),
      sectionBack: () => model.scroll(this.active, -far),
      sectionOn: () => model.scroll(this.active, far),
      zoomIn: () => model.zoomBy(1.25, model.cursor),
      zoomOut: () => model.zoomBy(0.8, model.cursor),
      fit: () => this.fit(),
      invert: () => this.panel.invert(),
      volume: () => this.panel.nextVolume(),
      hide: () => {
        model.showPoints = !model.showPoints;
        this.redraw();
      },
      add: () => this.add(this.active, model.cursor),
      yes: () => (model.asked ? this.answer("particle") : this.add(this.active, model.cursor)),
      remove: () => this.removeAtCursor(),
      negative: () => this.negative(),
      ask: () => void this.ask(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      nextClick: () => this.visit(placesOf(model.points(model.kind), "particle"), 1),
      lastClick: () => this.visit(placesOf(model.points(model.kind), "particle"), -1),
      nextPick: () => this.visit(model.shownPicks.map((pick) => pick.place), event.shiftKey ? -1 : 1),
      nextDoubt: () => this.visit(this.byDoubt(), event.shiftKey ? -1 : 1),
      nextTomogram: () => this.visitTomogram(event.shiftKey ? -1 : 1),
      kind: () => this.panel.chooseKind(Number(event.key) - 1),
      page: () => this.show(PAGES[Number(event.key.slice(1)) - 1]),
      help: () => this.help(),
    };
    acts[act]?.();
  }

  /** @returns {Vector[]} */
  byDoubt() {
    const picks = this.model.shownPicks.map((pick) => pick);
    picks.sort((a, b) => Math.abs(a.probability - 0.5) - Math.abs(b.probability - 0.5));
    return picks.map((pick) => pick.place);
  }

  /** @param {string} key @param {number} steps */
  moveCursor(key, steps) {
    const { model } = this;
    if (!model.tomogram) return;
    const { u, v } = AXES[this.active];
    /** @type {Vector} */
    const moved = [...model.cursor];
    const step = steps * model.tomogram.voxelSize;
    if (key === "ArrowLeft") moved[u] -= step;
    if (key === "ArrowRight") moved[u] += step;
    if (key === "ArrowDown") moved[v] -= step;
    if (key === "ArrowUp") moved[v] += step;
    model.cursor = model.inside(moved);
    model.follow();
    this.redraw();
  }

  help() {
    const groups = [...new Set(KEYS.map((key) => key.group))];
    const columns = groups.map((group) =>
      make("section", {}, make("h3", {}, group), make("table", {}, ...KEYS.filter((key) => key.group === group).map((key) =>
        make("tr", {}, make("td", {}, make("kbd", {}, key.shown)), make("td", {}, key.does))))));
    fill(find("keys", HTMLElement), ...columns);
    find("help", HTMLDialogElement).showModal();
  }

  // ---- messages from the server

  /** @param {import("./types").Reply} reply */
  onSaved(reply) {
    this.onChange(reply);
    // After undo and redo: report where the change was.
    if (reply.change && reply.change.tomogram !== this.model.tomogram?.name && reply.redo !== this.lastRedo) {
      toast(`Changed in ${reply.change.tomogram}.`);
    }
    this.lastRedo = reply.redo;
    if (reply.change === null) toast(reply.edited ? `Changed: ${reply.edited}.` : "There is nothing more to undo or redo.");
  }

  /** @param {import("./types").Reply} reply */
  onChange(reply) {
    this.model.take(reply);
    this.showStatus(reply);
    this.panel.pointsChanged();
    this.review.pointsChanged(reply.change);
  }

  /** @param {import("./types").Status} status */
  showStatus(status) {
    this.model.state.undo = status.undo;
    this.model.state.redo = status.redo;
    this.panel.showTrouble(status.trouble);
    this.redraw();
  }

  /** @param {boolean} open */
  onLine(open) {
    this.panel.showLine(open);
    if (open && this.wasOff) void this.fetchAll();
    this.wasOff = !open;
  }

  /** Synchronise after a lost connection. */
  async fetchAll() {
    try {
      const state = await get("state");
      Object.assign(this.model.state, state);
      await Promise.all(this.model.state.kinds.map((kind) => this.model.fetchPoints(kind.name)));
      await this.model.fetchPicks();
      this.panel.kindsChanged();
      this.panel.pointsChanged();
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {any} event */
  onEvent(event) {
    const { model } = this;
    if (event.name === "points") this.onChange(event);
    if (event.name === "picks" && event.kind === model.kind) {
      this.suggestions = [];
      void model.fetchPicks().then(() => this.panel.picksCame()).catch((error) => this.fail(error));
      void this.tomograms.picked();
      this.review.picked();
    }
    if (event.name === "features") this.panel.showFeatures(event);
    if (event.name === "reread") {
      toast(`${event.tomogram}: the file of ${event.kind} was changed elsewhere and read again.`);
      void model.fetchPoints(event.kind);
      this.panel.pointsChanged();
    }
    if (event.name === "trouble" || event.name === "state") this.panel.showTrouble(event.trouble);
    if (event.name === "warning") toast(event.text, "error");
    if (event.name === "kinds") {
      model.state.kinds = event.kinds;
      this.panel.kindsChanged();
      this.showStatus(event);
    }
    if (event.name === "notes") {
      this.showStatus(event);
      void this.tomograms.noted(event);
    }
    if (event.name === "jobs") void this.jobs.changed(event.ended ?? []);
    if (event.name === "review") void this.review.changed();
  }
}

async function start() {
  const state = await get("state");
  const app = new App(state);
  app.panel.kindsChanged();
  const last = localStorage.getItem(`tomopicker at ${state.project}`);
  const names = state.tomograms.map((/** @type {{name: string}} */ each) => each.name);
  await app.goTo(last !== null && names.includes(last) ? last : names[0]);
  const page = location.hash.slice(1);
  app.show(PAGES.includes(page) ? page : "pick");
  // For browser tests and the developer console.
  Object.assign(window, { studio: app });
}

start().catch((error) => toast(`The studio cannot start: ${error.message}`, "error"));
