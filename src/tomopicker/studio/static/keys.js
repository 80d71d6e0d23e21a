// The table of keys: help and key bindings use the same rows.

/** @typedef {{keys: string[], shown: string, does: string, act: string, group: string}} Key */

/** @type {Key[]} */
export const KEYS = [
  { group: "Look", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], shown: "← → ↑ ↓", does: "move the crosshair by a voxel; with Shift by ten", act: "move" },
  { group: "Look", keys: [",", "PageDown"], shown: ", or PgDn", does: "section before; with Shift ten", act: "sectionBack" },
  { group: "Look", keys: [".", "PageUp"], shown: ". or PgUp", does: "section after; with Shift ten", act: "sectionOn" },
  { group: "Look", keys: ["Tab"], shown: "Tab", does: "next of the three views, then the panel", act: "" },
  { group: "Look", keys: ["+", "="], shown: "+", does: "zoom in", act: "zoomIn" },
  { group: "Look", keys: ["-"], shown: "−", does: "zoom out", act: "zoomOut" },
  { group: "Look", keys: ["0"], shown: "0", does: "show the whole tomogram", act: "fit" },
  { group: "Look", keys: ["i"], shown: "I", does: "invert the contrast", act: "invert" },
  { group: "Look", keys: ["v"], shown: "V", does: "other volume of the same tomogram (denoised, raw)", act: "volume" },
  { group: "Look", keys: ["h"], shown: "H", does: "hide and show circles", act: "hide" },
  { group: "Mark", keys: ["Enter", " "], shown: "Enter or Space", does: "add a particle at the crosshair", act: "add" },
  { group: "Mark", keys: ["Delete", "Backspace"], shown: "Delete", does: "remove the point at the crosshair", act: "remove" },
  { group: "Mark", keys: ["n"], shown: "N", does: "point at the crosshair becomes a negative, or answer No", act: "negative" },
  { group: "Mark", keys: ["y"], shown: "Y", does: "answer Yes; without a question, add a particle", act: "yes" },
  { group: "Mark", keys: ["q"], shown: "Q", does: "suggest the next candidate", act: "ask" },
  { group: "Mark", keys: ["z"], shown: "Ctrl-Z", does: "undo, over all tomograms and kinds", act: "undo" },
  { group: "Mark", keys: ["Z"], shown: "Ctrl-Shift-Z", does: "redo", act: "redo" },
  { group: "Go", keys: ["]"], shown: "]", does: "next click", act: "nextClick" },
  { group: "Go", keys: ["["], shown: "[", does: "click before", act: "lastClick" },
  { group: "Go", keys: ["p"], shown: "P", does: "next pick, from the most probable down; with Shift upwards", act: "nextPick" },
  { group: "Go", keys: ["d"], shown: "D", does: "next of the most doubtful picks", act: "nextDoubt" },
  { group: "Go", keys: ["t"], shown: "T", does: "next tomogram; with Shift the one before", act: "nextTomogram" },
  { group: "Go", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: "1 … 9", does: "choose the kind of particle", act: "kind" },
  { group: "Go", keys: ["F1", "F2", "F3", "F4"], shown: "F1 … F4", does: "Pick, Review, Tomograms, Jobs", act: "page" },
  { group: "Go", keys: ["?"], shown: "?", does: "this table", act: "help" },
];

/**
 * Return the action of a pressed key; empty in a text field.
 * @param {KeyboardEvent} event
 * @returns {string}
 */
export function meaning(event) {
  if (event.ctrlKey || event.metaKey) {
    const letter = event.key.toLowerCase();
    if (letter === "z") return event.shiftKey ? "redo" : "undo";
    return letter === "y" ? "redo" : "";
  }
  if (event.altKey) return "";
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // On some layouts Shift changes the character: < and > are Shift with , and . there.
  const plain = { "<": ",", ">": "." }[key] ?? key;
  return KEYS.find((row) => row.keys.includes(plain))?.act ?? "";
}
