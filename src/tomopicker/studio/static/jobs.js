// Jobs: training and picking, their progress and logs. Jobs continue without the page.

import { fill, find, make, toast } from "./dom.js";
import { get, post } from "./server.js";

/** @typedef {import("./types").Job} Job */

export class JobsPage {
  /** @param {import("./main.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Job[]} */
    this.jobs = [];
    this.shown = "";
    find("train", HTMLButtonElement).addEventListener("click", () =>
      void this.start({ what: "train", preset: find("preset", HTMLSelectElement).value }));
    find("pick-all", HTMLButtonElement).addEventListener("click", () => {
      const workers = find("workers", HTMLInputElement).value;
      void this.start({ what: "pick", ...(workers ? { workers: Number(workers) } : {}) });
    });
  }

  async open() {
    try {
      this.jobs = await get("jobs");
      await this.show();
    } catch (error) {
      this.app.fail(error);
    }
  }

  /** @param {string[]} ended */
  async changed(ended) {
    if (this.app.page === "jobs" || ended.length) await this.open();
    for (const id of ended) {
      const job = this.jobs.find((each) => each.id === id);
      if (!job) continue;
      toast(`${job.title}: ${job.state}`, job.state === "done" ? "note" : "error");
      void this.app.review.changed();
    }
    this.showRunning();
  }

  showRunning() {
    const running = this.jobs.filter((job) => job.state === "running").length;
    find("go-jobs", HTMLButtonElement).textContent = running ? `Jobs (${running})` : "Jobs";
  }

  /** @param {object} what */
  async start(what) {
    try {
      const job = await post("start", { kind: this.app.model.kind, ...what });
      this.shown = job.id;
      await this.open();
      this.showRunning();
    } catch (error) {
      this.app.fail(error);
    }
  }

  async show() {
    find("jobs-kind", HTMLElement).textContent = this.app.model.kind || "…";
    if (!this.jobs.some((job) => job.id === this.shown)) this.shown = this.jobs[0]?.id ?? "";
    fill(find("jobs", HTMLElement), ...this.jobs.map((job) => this.row(job)));
    find("jobs-none", HTMLElement).hidden = this.jobs.length > 0;
    const log = find("log", HTMLElement);
    log.hidden = !this.shown;
    if (!this.shown) {
      log.textContent = "";
      return;
    }
    const reply = await get("log", { id: this.shown });
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
    log.textContent = `$ ${reply.command}\n\n${reply.log}`;
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  /** @param {Job} job */
  row(job) {
    const started = new Date(job.started * 1000).toLocaleString();
    const choose = () => {
      this.shown = job.id;
      void this.show().catch((error) => this.app.fail(error));
    };
    const bar = make("progress", { hidden: job.state !== "running" });
    if (job.progress) {
      bar.max = job.progress.total;
      bar.value = job.progress.done;
    }
    const stop = make("button", { type: "button", hidden: job.state !== "running", disabled: job.stopping, click: () => void this.stop(job) },
      job.stopping ? "Stopping…" : "Stop");
    const words = job.progress && job.state === "running"
      ? `${job.progress.title}: ${job.progress.done} of ${job.progress.total} ${job.progress.words}` : job.last;
    return make("li", { class: `${job.state}${job.id === this.shown ? " selected" : ""}` },
      make("button", { type: "button", class: "link", click: choose }, job.title), make("b", {}, job.state),
      make("small", {}, started), bar, make("span", {}, words), stop);
  }

  /** @param {Job} job */
  async stop(job) {
    try {
      await post("stop", { id: job.id });
      await this.open();
    } catch (error) {
      this.app.fail(error);
    }
  }
}
