// Review: change the threshold, compare tomograms, and check single picks, most uncertain first.

import { fill, find, fixed, make, toast } from "./dom.js";
import { distance, vectorOf } from "./geometry.js";
import { address, get, post } from "./server.js";

/** @typedef {import("./types").Item} Item */

const PAGE = 60;

export class ReviewPage {
  /** @param {import("./main.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Item[]} */
    this.items = [];
    this.total = 0;
    this.diameter = 100;
    this.at = 0;
    this.isLoading = false;
    this.round = 0;
    /** @type {AbortController | null} */
    this.asking = null;
    const cut = find("review-cut", HTMLInputElement);
    cut.addEventListener("input", () => void this.showThreshold(Number(cut.value) / 100));
    find("review-own", HTMLButtonElement).addEventListener("click", () => void this.showThreshold(null));
    find("review-apply", HTMLButtonElement).addEventListener("click", () => void this.apply());
    find("order", HTMLSelectElement).addEventListener("change", () => void this.restart());
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) void this.more();
    }, { root: find("gallery-part", HTMLElement), rootMargin: "600px" }).observe(find("gallery-end", HTMLElement));
    /** Threshold of the slider; null: that of each tomogram. @type {number | null} */
    this.threshold = null;
    /** True for instant picks, which change with every answer; false for picks of a job. */
    this.isInstant = false;
  }

  get kind() {
    return this.app.model.kind;
  }

  async open() {
    await this.showThreshold(this.threshold);
    await this.restart();
  }

  async changed() {
    if (this.app.page === "review") await this.open();
  }

  /** Update the counts after new instant picks; the gallery stays unchanged while it is in use. */
  picked() {
    if (this.app.page === "review" && this.isInstant) void this.showThreshold(this.threshold);
  }

  /** Mark what was answered elsewhere, or taken back. @param {import("./types").Change | null} change */
  pointsChanged(change) {
    if (!change || change.kind !== this.kind || this.app.page !== "review") return;
    const cards = find("gallery", HTMLElement).children;
    const within = 0.3 * this.diameter;
    this.items.forEach((item, index) => {
      if (item.tomogram !== change.tomogram) return;
      const isHere = (/** @type {import("./types").Point} */ point) => distance(vectorOf(point), item.position) <= within;
      const added = change.added.find(isHere);
      if (!added && !change.removed.some(isHere)) return;
      item.answer = added?.label ?? "";
      cards[index].className = `card ${item.answer}${index === this.at ? " selected" : ""}`;
    });
    find("answered", HTMLElement).textContent = this.progress();
  }

  progress() {
    const answered = this.items.filter((item) => item.answer).length;
    return `${this.total} candidates, ${answered} of ${this.items.length} shown answered`;
  }

  // ---- threshold

  /** @param {number | null} threshold */
  async showThreshold(threshold) {
    this.threshold = threshold;
    this.asking?.abort();
    const control = new AbortController();
    this.asking = control;
    if (!this.kind) return;
    try {
      /** @type {import("./types").Review | null} */
      const review = await get("review", { kind: this.kind, ...(threshold === null ? {} : { threshold }) }, control.signal);
      find("review-none", HTMLElement).hidden = review !== null;
      find("review-some", HTMLElement).hidden = review === null;
      if (review) this.showReview(review, threshold);
    } catch (error) {
      if (!control.signal.aborted) this.app.fail(error);
    }
  }

  /** @param {import("./types").Review} review @param {number | null} threshold */
  showReview(review, threshold) {
    const rows = review.tomograms;
    this.isInstant = review.folder === null;
    find("review-instant", HTMLElement).hidden = !this.isInstant;
    find("review-apply", HTMLButtonElement).textContent = this.isInstant ? "Use for instant picks" : "Apply to the files";
    const picks = rows.reduce((sum, row) => sum + row.picks, 0);
    const was = rows.reduce((sum, row) => sum + row.was, 0);
    const right = rows.reduce((sum, row) => sum + row.precision * row.picks, 0);
    const particles = rows.reduce((sum, row) => sum + (row.recall > 0 ? (row.precision * row.picks) / row.recall : row.count?.[0] ?? 0), 0);
    find("review-total", HTMLElement).textContent =
      `${picks} picks of ${rows.length} tomograms${picks === was ? "" : ` (${picks > was ? "+" : "−"}${Math.abs(picks - was)})`}`;
    find("review-expected", HTMLElement).textContent =
      `expected: precision ${fixed(picks ? right / picks : NaN, 2)}, recall ${fixed(particles ? Math.min(1, right / particles) : NaN, 2)}`;
    find("review-cut-value", HTMLElement).textContent = threshold === null ? "each tomogram's own" : fixed(threshold, 2);
    if (threshold !== null) find("review-cut", HTMLInputElement).value = String(Math.round(threshold * 100));
    find("review-apply", HTMLButtonElement).disabled = picks === was && threshold !== null;
    this.drawHistogram(review.histogram, threshold ?? median(rows.map((row) => row.threshold)));
    const table = rows.map((row) => make("tr", { class: row.unusual ? "unusual" : "" },
      make("td", {}, make("button", { type: "button", class: "link", click: () => this.goTo(row.tomogram) }, row.tomogram)),
      make("td", {}, String(row.picks), row.picks === row.was ? "" : make("small", {}, ` ${row.picks > row.was ? "+" : "−"}${Math.abs(row.picks - row.was)}`)),
      make("td", {}, row.count ? `${fixed(row.count[0], 0)} (${fixed(row.count[1], 0)}–${fixed(row.count[2], 0)})` : "–"),
      make("td", {}, fixed(row.precision, 2)), make("td", {}, fixed(row.recall, 2)), make("td", {}, fixed(row.threshold, 2))));
    fill(find("review-rows", HTMLElement), ...table, ...Object.entries(review.failed).map(([name, reason]) =>
      make("tr", { class: "bad" }, make("td", {}, name), make("td", { colspan: 5 }, reason))));
  }

  /** @param {number[]} counts @param {number} threshold */
  drawHistogram(counts, threshold) {
    const canvas = find("histogram", HTMLCanvasElement);
    const context = canvas.getContext("2d");
    if (!context) return;
    const density = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    canvas.width = Math.round(box.width * density);
    canvas.height = Math.round(box.height * density);
    context.scale(density, density);
    const most = Math.max(1, ...counts);
    const wide = box.width / counts.length;
    const high = box.height - 16;
    counts.forEach((count, index) => {
      const tall = (count / most) ** 0.5 * (high - 4);
      context.fillStyle = (index + 0.5) / counts.length > threshold ? this.app.model.chosen?.colour ?? "#39d98a" : "#56616d";
      context.fillRect(index * wide + 0.5, high - tall, Math.max(1, wide - 1), tall);
    });
    context.fillStyle = "#ffe45c";
    context.fillRect(threshold * box.width - 1, 0, 2, high);
    context.fillStyle = "#aab4bf";
    context.font = "11px system-ui, sans-serif";
    for (const [text, place] of /** @type {[string, number][]} */ ([["0", 2], ["probability", box.width / 2 - 28], ["1", box.width - 9]])) {
      context.fillText(text, place, box.height - 3);
    }
  }

  async apply() {
    if (this.isInstant) {
      this.app.model.threshold = this.threshold;
      toast(this.threshold === null ? "Each tomogram has its own threshold." : `Instant picks are more probable than ${fixed(this.threshold, 2)}.`);
      return;
    }
    try {
      await post("cut", { kind: this.kind, threshold: this.threshold });
      await this.open();
    } catch (error) {
      this.app.fail(error);
    }
  }

  /** @param {string} tomogram @param {import("./types").Vector} [place] */
  goTo(tomogram, place) {
    this.app.show("pick");
    void this.app.goTo(tomogram, place);
  }

  // ---- gallery

  async restart() {
    this.round += 1;
    this.items = [];
    this.total = Infinity;
    this.at = 0;
    this.isLoading = false;
    fill(find("gallery", HTMLElement));
    await this.more();
  }

  async more() {
    if (this.isLoading || this.items.length >= this.total || !this.kind) return;
    this.isLoading = true;
    const { round } = this;
    try {
      const order = find("order", HTMLSelectElement).value;
      const page = await get("gallery", { kind: this.kind, order, start: this.items.length, count: PAGE });
      if (round !== this.round) return;
      this.total = page.total;
      this.diameter = page.diameter;
      const first = this.items.length;
      const within = 0.3 * page.diameter;
      /** @type {Item[]} New items only: the order of instant picks may have changed since the last page. */
      const items = page.items.filter((/** @type {Item} */ item) =>
        !this.items.some((other) => other.tomogram === item.tomogram && distance(other.position, item.position) <= within));
      this.items.push(...items);
      find("gallery", HTMLElement).append(...items.map((/** @type {Item} */ item, /** @type {number} */ index) => this.card(item, first + index)));
      find("answered", HTMLElement).textContent = this.progress();
      this.select(this.at);
    } catch (error) {
      this.app.fail(error);
    } finally {
      this.isLoading = false;
    }
  }

  /** @param {Item} item @param {number} index */
  card(item, index) {
    const [x, y, z] = item.position;
    const invert = Number(this.app.model.inverted);
    const source = address("thumb", { name: item.tomogram, x, y, z, diameter: this.diameter, invert });
    const picture = item.listed
      ? make("img", { src: source, loading: "lazy", alt: `three projections of candidate ${index + 1}` })
      : make("p", {}, "tomogram not listed");
    return make("figure", { class: `card ${item.answer}`, tabindex: -1, click: () => this.select(index), dblclick: () => this.goTo(item.tomogram, item.position) },
      picture, make("figcaption", {}, make("b", {}, fixed(item.probability, 2)), make("span", {}, item.tomogram)));
  }

  /** @param {number} index */
  select(index) {
    const cards = find("gallery", HTMLElement).children;
    cards[this.at]?.classList.remove("selected");
    this.at = Math.min(Math.max(0, index), Math.max(0, this.items.length - 1));
    const card = cards[this.at];
    card?.classList.add("selected");
    card?.scrollIntoView({ block: "nearest" });
    if (this.at > this.items.length - 12) void this.more();
  }

  /** @param {"particle" | "negative"} label */
  answer(label) {
    const item = this.items[this.at];
    if (!item) return;
    if (item.answer !== label) {
      const point = this.app.point(item.position, label, "review");
      const removed = item.answer ? [this.app.point(item.position, item.answer === "particle" ? "particle" : "negative", "review")] : [];
      this.app.act([point], removed, null, item.tomogram);
      item.answer = label;
      find("gallery", HTMLElement).children[this.at].className = `card ${label}`;
      find("answered", HTMLElement).textContent = this.progress();
    }
    this.select(this.at + 1);
  }

  /** @param {KeyboardEvent} event @param {string} act @returns {boolean} Whether the key was used */
  onKey(event, act) {
    const across = this.columns();
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (steps) this.select(this.at + steps);
    else if (act === "yes") this.answer("particle");
    else if (act === "negative") this.answer("negative");
    else if (event.key === "Enter" && this.items[this.at]) this.goTo(this.items[this.at].tomogram, this.items[this.at].position);
    else return false;
    return true;
  }

  columns() {
    const cards = [...find("gallery", HTMLElement).children];
    const top = cards[0]?.getBoundingClientRect().top;
    const next = cards.findIndex((card) => card.getBoundingClientRect().top !== top);
    return next > 0 ? next : Math.max(1, cards.length);
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : 0.5;
}
