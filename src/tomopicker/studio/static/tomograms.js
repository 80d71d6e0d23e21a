// The list of tomograms: counts, outliers, notes and review state; sortable by any column.

import { fill, find, fixed, make } from "./dom.js";
import { get, post } from "./server.js";

/** @typedef {import("./types").ListRow} Row */
/** @typedef {"tomogram" | "clicks" | "negatives" | "picks" | "median" | "unusual" | "reviewed"} Column */

/** @type {[Column, string][]} */
const COLUMNS = [
  ["tomogram", "tomogram"], ["clicks", "clicked"], ["negatives", "negative"], ["picks", "picks"],
  ["median", "median score"], ["unusual", "unusual"], ["reviewed", "reviewed"],
];

/**
 * Sort rows by a column; names in natural order, missing values last.
 * @param {Row[]} rows @param {Column} column @param {boolean} upwards
 */
export function sorted(rows, column, upwards) {
  const sign = upwards ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [left, right] = [a[column], b[column]];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    if (typeof left === "string" && typeof right === "string") return sign * left.localeCompare(right, undefined, { numeric: true });
    return sign * (size(left) - size(right));
  });
}

/** @param {string | number | boolean | string[]} value */
function size(value) {
  return Array.isArray(value) ? value.length : Number(value);
}

export class TomogramsPage {
  /** @param {import("./main.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Column} */
    this.column = "tomogram";
    this.upwards = true;
    const heads = COLUMNS.map(([column, title]) => make("th", {}, make("button", { type: "button", class: "link", click: () => this.sortBy(column) }, title)));
    fill(find("list-head", HTMLElement), ...heads, make("th", {}, "note"));
  }

  async open() {
    if (!this.app.model.kind) {
      fill(find("list-rows", HTMLElement), make("tr", {}, make("td", { colspan: 8 }, "Name a kind of particle first (F1).")));
      return;
    }
    try {
      this.rows = await get("list", { kind: this.app.model.kind });
      this.show();
    } catch (error) {
      this.app.fail(error);
    }
  }

  /** Show a changed note, unless it is being edited.
   * @param {{tomogram: string, note: string, reviewed: boolean}} event */
  async noted({ tomogram, note, reviewed }) {
    const row = this.rows.find((each) => each.tomogram === tomogram);
    if (row?.note !== note || row.reviewed !== reviewed) await this.picked();
  }

  /** Show new picks, unless a note is being edited. */
  async picked() {
    const isWriting = document.activeElement?.matches("#list-rows input[type=text]");
    if (this.app.page === "tomograms" && !isWriting) await this.open();
  }

  /** @param {Column} column */
  sortBy(column) {
    this.upwards = this.column === column ? !this.upwards : column === "tomogram";
    this.column = column;
    this.show();
  }

  show() {
    const total = this.rows.reduce((sum, row) => sum + row.clicks, 0);
    const reviewed = this.rows.filter((row) => row.reviewed).length;
    find("list-total", HTMLElement).textContent =
      `${this.rows.length} tomograms, ${total} particles of ${this.app.model.kind} clicked, ${reviewed} reviewed`;
    fill(find("list-rows", HTMLElement), ...sorted(this.rows, this.column, this.upwards).map((row) => this.row(row)));
  }

  /** @param {Row} row */
  row(row) {
    const note = make("input", { type: "text", value: row.note, maxlength: 400, "aria-label": `note on ${row.tomogram}`, placeholder: "…" });
    note.addEventListener("change", () => {
      row.note = note.value;
      void this.tell({ tomogram: row.tomogram, note: note.value });
    });
    const box = make("input", { type: "checkbox", checked: row.reviewed, "aria-label": `${row.tomogram} is reviewed` });
    box.addEventListener("change", () => {
      row.reviewed = box.checked;
      void this.tell({ tomogram: row.tomogram, reviewed: box.checked });
    });
    const go = () => {
      this.app.show("pick");
      void this.app.goTo(row.tomogram);
    };
    return make("tr", { class: row.unusual.length ? "unusual" : "" },
      make("td", {}, make("button", { type: "button", class: "link", click: go }, row.tomogram)),
      make("td", {}, String(row.clicks)), make("td", {}, String(row.negatives)),
      make("td", {}, row.picks === null ? "–" : String(row.picks), make("small", {}, row.source === "instant" ? " instant" : "")),
      make("td", {}, row.median === null ? "–" : fixed(row.median, 2)),
      make("td", {}, row.unusual.join(", ")), make("td", {}, box), make("td", { class: "note" }, note));
  }

  /** @param {object} body */
  async tell(body) {
    try {
      await post("note", body);
    } catch (error) {
      this.app.fail(error);
    }
  }
}
