// From slab means to pixels: contrast, inversion and the display-only low-pass filter.

/** @typedef {import("./types").Slab} Slab */

/**
 * Value of a quantile, interpolated in a table of 101 values.
 * @param {number[]} quantiles @param {number} percent
 */
export function quantile(quantiles, percent) {
  const place = Math.min(100, Math.max(0, percent));
  const below = Math.floor(place);
  const above = Math.min(100, below + 1);
  return quantiles[below] + (quantiles[above] - quantiles[below]) * (place - below);
}

/**
 * Byte values displayed as black and white; never an empty range.
 * @param {number[]} quantiles @param {number} low Percent @param {number} high Percent
 * @returns {[number, number]}
 */
export function windowOf(quantiles, low, high) {
  const first = quantile(quantiles, low);
  return [first, Math.max(first + 0.05, quantile(quantiles, high))];
}

/**
 * Fill RGBA pixels from a slab; NaN (not yet received) is dark blue-grey.
 * @param {Slab} slab @param {[number, number]} window @param {boolean} inverted @param {Uint8ClampedArray} pixels
 */
export function paint(slab, window, inverted, pixels) {
  const [low, high] = window;
  const scale = (inverted ? -255 : 255) / (high - low);
  const offset = inverted ? 255 - low * scale : -low * scale;
  const { data } = slab;
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, data.length);
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (value !== value) {
      words[i] = 0xff302820;
      continue;
    }
    const grey = Math.max(0, Math.min(255, Math.round(value * scale + offset)));
    words[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}

/**
 * Blur a slab with a Gaussian, along rows and then columns; borders repeat.
 * @param {Slab} slab @param {number} sigma Pixels of the slab
 * @returns {Slab}
 */
export function blurred(slab, sigma) {
  if (!(sigma > 0.1)) return slab;
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const { width, height, data } = slab;
  const across = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = -reach; k <= reach; k++) {
        sum += weights[k + reach] * data[y * width + Math.min(width - 1, Math.max(0, x + k))];
      }
      across[y * width + x] = sum / total;
    }
  }
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let k = -reach; k <= reach; k++) {
      const row = Math.min(height - 1, Math.max(0, y + k)) * width;
      const weight = weights[k + reach] / total;
      for (let x = 0; x < width; x++) out[y * width + x] += weight * across[row + x];
    }
  }
  return { data: out, width, height };
}
