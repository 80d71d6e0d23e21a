// Creating and finding elements. Text is never set as HTML, since names come from files.

/**
 * Return the element with an id, checked for its class.
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} type
 * @returns {T}
 */
export function find(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} '${id}'`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, string | number | boolean | ((event: any) => void)>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @param {HTMLElement} element @param {(Node | string)[]} children */
export function fill(element, ...children) {
  element.replaceChildren(...children);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;

/** Show a message for a few seconds. @param {string} text @param {"note" | "error"} [kind] */
export function toast(text, kind = "note") {
  const place = find("toast", HTMLElement);
  place.textContent = text;
  place.className = kind;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    place.hidden = true;
  }, kind === "error" ? 9000 : 4000);
}

/** @param {number} value @param {number} digits */
export function fixed(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}
