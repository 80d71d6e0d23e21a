// Geometry of planes and sections in Å: pure functions without access to the page.

/** @typedef {import("./types").Plane} Plane */
/** @typedef {import("./types").Vector} Vector */
/** @typedef {import("./types").Point} Point */

/**
 * The axes of each plane: u to the right, v upwards, w through the screen (0, 1, 2 for x, y, z).
 * xy and xz share x, xy and yz share y, so that the views align.
 * @type {Record<Plane, {u: number, v: number, w: number}>}
 */
export const AXES = { xy: { u: 0, v: 1, w: 2 }, xz: { u: 0, v: 2, w: 1 }, yz: { u: 2, v: 1, w: 0 } };

/** @type {Plane[]} */
export const PLANES = ["xy", "xz", "yz"];

/**
 * Radius of the circle in which a section cuts a sphere; 0 if it does not.
 * @param {number} radius @param {number} distance
 */
export function circleRadius(radius, distance) {
  const square = radius * radius - distance * distance;
  return square > 0 ? Math.sqrt(square) : 0;
}

/** @param {Point} point @returns {Vector} */
export function vectorOf(point) {
  return [point.x, point.y, point.z];
}

/** @param {Vector} a @param {Vector} b */
export function distance(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * Convert a screen position (pixels from the view's centre, y downwards) to a tomogram position.
 * @param {Plane} plane @param {number} dx @param {number} dy
 * @param {Vector} centre Position at the view's centre, Å @param {number} zoom Pixels per Å
 * @param {Vector} cursor Position of the section, Å
 * @returns {Vector}
 */
export function toTomogram(plane, dx, dy, centre, zoom, cursor) {
  const { u, v, w } = AXES[plane];
  /** @type {Vector} */
  const place = [0, 0, 0];
  place[u] = centre[u] + dx / zoom;
  place[v] = centre[v] - dy / zoom;
  place[w] = cursor[w];
  return place;
}

/**
 * Convert a tomogram position to pixels from the view's centre, y downwards.
 * @param {Plane} plane @param {Vector} place @param {Vector} centre @param {number} zoom
 * @returns {[number, number]}
 */
export function toScreen(plane, place, centre, zoom) {
  const { u, v } = AXES[plane];
  return [(place[u] - centre[u]) * zoom, (centre[v] - place[v]) * zoom];
}

/**
 * Index of the nearest point whose circle on a section contains a position; -1 if there is none.
 * @param {Vector[]} places @param {Plane} plane @param {Vector} at On the section @param {number} radius Å
 * @param {number} least Minimum distance (Å) from a circle's centre that counts as a hit
 */
export function hit(places, plane, at, radius, least) {
  const { u, v, w } = AXES[plane];
  let best = -1;
  let nearest = Infinity;
  places.forEach((place, index) => {
    const shown = circleRadius(radius, place[w] - at[w]);
    if (shown === 0) return;
    const away = Math.hypot(place[u] - at[u], place[v] - at[v]);
    if (away <= Math.max(shown, least) && away < nearest) {
      nearest = away;
      best = index;
    }
  });
  return best;
}

/**
 * Index of the nearest position within a distance (Å); -1 if there is none.
 * @param {Vector[]} places @param {Vector} at @param {number} within
 */
export function nearest(places, at, within) {
  let best = -1;
  let least = within;
  places.forEach((place, index) => {
    const away = distance(place, at);
    if (away <= least) {
      least = away;
      best = index;
    }
  });
  return best;
}

/**
 * Round length (1, 2 or 5 times a power of ten) for a scale bar.
 * @param {number} zoom Pixels per Å @param {number} pixels Maximum length
 */
export function scaleBar(zoom, pixels) {
  const longest = pixels / zoom;
  const power = 10 ** Math.floor(Math.log10(longest));
  const step = [5, 2, 1].find((each) => each * power <= longest) ?? 1;
  const length = step * power;
  return { length, label: length >= 10000 ? `${length / 10000} µm` : length >= 10 ? `${length / 10} nm` : `${length} Å` };
}

/**
 * Expected quality of the candidates above a threshold, from their probabilities.
 * @param {number[]} probabilities Descending @param {number} threshold @param {number} particles In the tomogram
 */
export function expectation(probabilities, threshold, particles) {
  let count = 0;
  let right = 0;
  for (const probability of probabilities) {
    if (probability > threshold) {
      count += 1;
      right += probability;
    }
  }
  return { count, precision: count ? right / count : 0, recall: particles ? Math.min(1, right / particles) : 0 };
}
