// Communication with the server: requests, events, and actions that survive a lost connection.

/** @typedef {import("./types").Reply} Reply */
/** @typedef {{path: string, body: object}} Act */

/** An error reported by the server. */
export class Refused extends Error {}

/**
 * @param {string} path @param {Record<string, string | number>} [query]
 * @returns {string}
 */
export function address(path, query = {}) {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString();
  return `api/${path}${text ? `?${text}` : ""}`;
}

/** @param {Response} response @returns {Promise<any>} */
async function read(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error ?? text;
  } catch {
    // Access errors are plain text.
  }
  throw new Refused(message || `the server answered ${response.status}`);
}

/**
 * @param {string} path @param {Record<string, string | number>} [query] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, query, signal) {
  return read(await fetch(address(path, query), { signal }));
}

/** @param {string} path @param {object} body @returns {Promise<any>} */
export async function post(path, body) {
  const headers = { "content-type": "application/json" };
  return read(await fetch(address(path), { method: "POST", headers, body: JSON.stringify(body) }));
}

/** @param {Record<string, string>} query @param {File} file @returns {Promise<any>} */
export async function upload(query, file) {
  return read(await fetch(address("open", query), { method: "POST", body: file }));
}

/**
 * Queue of actions for the server. They are kept in the browser's storage until the server has saved them, so that
 * neither a reload nor an unreachable server loses any.
 */
export class Outbox {
  /**
   * @param {string} name Key of the storage @param {(reply: Reply) => void} onSaved
   * @param {(message: string) => void} onRefused @param {(waiting: number, offline: boolean) => void} onWaiting
   */
  constructor(name, onSaved, onRefused, onWaiting) {
    this.name = name;
    this.onSaved = onSaved;
    this.onRefused = onRefused;
    this.onWaiting = onWaiting;
    /** @type {Act[]} */
    this.acts = [];
    /** @type {Promise<void>[]} */
    this.sending = [];
    try {
      const kept = JSON.parse(localStorage.getItem(name) ?? "[]");
      for (const act of Array.isArray(kept) ? kept : []) this.send(act.path, act.body);
    } catch {
      // Storage is disabled or holds other data: keep actions in this page only.
    }
  }

  /** Send an action at once, in parallel to pending ones. @param {string} path @param {object} body */
  send(path, body) {
    const act = { path, body };
    this.acts.push(act);
    this.keep(false);
    const work = this.deliver(act);
    this.sending.push(work);
    void work.then(() => {
      this.sending.splice(this.sending.indexOf(work), 1);
    });
    return work;
  }

  /** Send an action after all earlier ones are saved, since undo must not overtake a click. @param {string} path */
  async sendAfter(path) {
    await this.delivered();
    await this.send(path, {});
  }

  /** Wait until all actions so far are saved. */
  async delivered() {
    await Promise.all(this.sending);
  }

  /** @param {Act} act */
  async deliver(act) {
    for (let wait = 250; ; wait = Math.min(4000, wait * 2)) {
      try {
        const reply = await post(act.path, act.body);
        this.forget(act);
        this.onSaved(reply);
        return;
      } catch (error) {
        if (error instanceof Refused) {
          this.forget(act);
          this.onRefused(error.message);
          return;
        }
        this.keep(true);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  /** @param {Act} act */
  forget(act) {
    this.acts.splice(this.acts.indexOf(act), 1);
    this.keep(false);
  }

  /** @param {boolean} offline */
  keep(offline) {
    try {
      // A lost undo is not repeated after a reload: what it referred to is no longer known.
      localStorage.setItem(this.name, JSON.stringify(this.acts.filter((act) => act.path === "act")));
    } catch {
      // As above.
    }
    this.onWaiting(this.acts.length, offline);
  }
}

/**
 * Listen to server events, and reconnect when the connection is lost.
 * @param {(event: any) => void} onEvent @param {(open: boolean) => void} onLine
 */
export function listen(onEvent, onLine) {
  const source = new EventSource(address("events"));
  source.onopen = () => onLine(true);
  source.onerror = () => {
    onLine(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(onEvent, onLine), 2000);
  };
  source.onmessage = (message) => onEvent(JSON.parse(message.data));
}
