// Display-only CTF deconvolution: the filter of deconvolution.py, applied to slabs of the brick.

/** @typedef {import("./types").Slab} Slab */
/** @typedef {import("./types").Deconvolution} Deconvolution */

const SPHERICAL_ABERRATION = 2.7e7; // Å
const AMPLITUDE_CONTRAST = 0.07;
const HIGH_PASS = 1000; // Å

/**
 * The gain c / (c² + 1/SNR) at a spatial frequency (1/Å); c is positive at low frequency.
 * @param {Deconvolution} filter @param {number} k
 */
export function gain(filter, k) {
  const volts = filter.voltage * 1e3;
  const wavelength = 12.2643 / Math.sqrt(volts * (1 + 0.978466e-6 * volts));
  const phase = Math.PI * wavelength * filter.defocus * 1e4 * k * k
    - 0.5 * Math.PI * SPHERICAL_ABERRATION * wavelength ** 3 * k ** 4
    + (filter.phase * Math.PI) / 180 + Math.asin(AMPLITUDE_CONTRAST);
  const transfer = Math.sin(phase);
  const highPass = 1 - Math.cos(Math.PI * Math.min(1, k * HIGH_PASS));
  const ratio = 1000 ** filter.strength * highPass * Math.exp(-200 * filter.falloff * k);
  return (transfer * ratio) / (transfer * transfer * ratio + 1);
}

/** Tables for a transform length: cosines and sines of each stage in sequence, and the bit-reversed order.
 * @typedef {{n: number, cos: Float32Array, sin: Float32Array, order: Uint32Array}} Length */

/** @type {Map<number, Length>} */
const lengths = new Map();

/** @param {number} n A power of two @returns {Length} */
function lengthOf(n) {
  const known = lengths.get(n);
  if (known) return known;
  const [cos, sin, order] = [new Float32Array(n), new Float32Array(n), new Uint32Array(n)];
  for (let half = 1; half < n; half *= 2) {
    for (let j = 0; j < half; j++) {
      cos[half + j] = Math.cos((Math.PI * j) / half);
      sin[half + j] = -Math.sin((Math.PI * j) / half);
    }
  }
  for (let i = 1; i < n; i++) order[i] = (order[i >> 1] >> 1) | (i & 1 ? n >> 1 : 0);
  const made = { n, cos, sin, order };
  lengths.set(n, made);
  return made;
}

/**
 * In-place Fourier transform of the values from an offset on (Cooley and Tukey).
 * @param {Float32Array} re @param {Float32Array} im @param {number} at @param {Length} length
 */
export function transform(re, im, at, { n, cos, sin, order }) {
  for (let i = 0; i < n; i++) {
    const j = order[i];
    if (i >= j) continue;
    const [a, b] = [at + i, at + j];
    const [x, y] = [re[a], im[a]];
    re[a] = re[b];
    im[a] = im[b];
    re[b] = x;
    im[b] = y;
  }
  for (let half = 1; half < n; half *= 2) {
    for (let start = at; start < at + n; start += 2 * half) {
      for (let j = 0; j < half; j++) {
        const c = cos[half + j];
        const s = sin[half + j];
        const a = start + j;
        const b = a + half;
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

/** @param {number} n @returns {Length} the smallest power of two that holds an edge; the rest is a mirrored border */
function padded(n) {
  return lengthOf(2 ** Math.ceil(Math.log2(Math.max(2, n))));
}

/** Source index of each position along an edge with its border. @param {number} n @param {number} size */
function mirrored(n, size) {
  const before = (size - n) >> 1; // The border is on both sides, its first half behind the last value.
  return Int32Array.from({ length: size }, (_, i) => {
    const place = i < size - before ? i : i - size;
    return place < 0 ? -1 - place : Math.min(n - 1, place < n ? place : 2 * n - 1 - place);
  });
}

/** Gains of the most recently used filter, tabulated by frequency. */
const table = { key: "", step: 0, gains: new Float32Array(0) };

/** @param {Deconvolution} filter @param {number} voxel */
function gainsOf(filter, voxel) {
  const key = JSON.stringify([filter, voxel]);
  if (table.key !== key) {
    const count = 4096;
    const step = Math.SQRT1_2 / voxel / (count - 2);
    Object.assign(table, { key, step, gains: Float32Array.from({ length: count }, (_, i) => gain(filter, i * step)) });
  }
  return table;
}

/**
 * Filter the mean of a slab and remove its average. NaN (not received yet) is kept.
 *
 * Two rows are transformed as one complex row, and only half of the columns, since the picture is real.
 * @param {Slab} slab @param {Deconvolution} filter @param {number} voxel Å
 * @returns {Slab}
 */
export function deconvolved(slab, filter, voxel) {
  const { data, width, height } = slab;
  const [across, down] = [padded(width), padded(height)];
  const [wide, high] = [across.n, down.n];
  const [columns, lines] = [mirrored(width, wide), mirrored(height, high)];
  const mean = finiteMean(data);
  const half = wide / 2 + 1;
  const [rowRe, rowIm] = [new Float32Array(wide), new Float32Array(wide)];
  const [re, im] = [new Float32Array(half * high), new Float32Array(half * high)]; // Column after column.
  for (let y = 0; y < high; y += 2) {
    const [first, second] = [lines[y] * width, lines[y + 1] * width];
    for (let x = 0; x < wide; x++) {
      const [a, b] = [data[first + columns[x]], data[second + columns[x]]];
      rowRe[x] = a === a ? a - mean : 0;
      rowIm[x] = b === b ? b - mean : 0;
    }
    transform(rowRe, rowIm, 0, across);
    for (let x = 0; x < half; x++) {
      const other = (wide - x) % wide;
      const at = x * high + y;
      re[at] = (rowRe[x] + rowRe[other]) / 2;
      im[at] = (rowIm[x] - rowIm[other]) / 2;
      re[at + 1] = (rowIm[x] + rowIm[other]) / 2;
      im[at + 1] = (rowRe[other] - rowRe[x]) / 2;
    }
  }
  const { gains, step } = gainsOf(filter, voxel);
  const share = 1 / (wide * high);
  for (let x = 0; x < half; x++) {
    transform(re, im, x * high, down);
    const kx = x / (wide * voxel);
    for (let y = 0; y < high; y++) {
      const ky = Math.min(y, high - y) / (high * voxel);
      const place = Math.sqrt(kx * kx + ky * ky) / step;
      const below = place | 0;
      const factor = share * (gains[below] + (gains[below + 1] - gains[below]) * (place - below));
      re[x * high + y] *= factor;
      im[x * high + y] *= -factor; // A transform of the conjugate is the conjugate of the way back.
    }
    transform(re, im, x * high, down);
  }
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y += 2) {
    // Spectra of both rows, a and b, as a + ib, and their conjugates.
    for (let x = 0; x < wide; x++) {
      const isLow = x < half;
      const at = (isLow ? x : wide - x) * high + y;
      const sign = isLow ? 1 : -1;
      rowRe[x] = re[at] - sign * im[at + 1];
      rowIm[x] = sign * im[at] + re[at + 1];
    }
    transform(rowRe, rowIm, 0, across);
    const first = y * width;
    for (let x = 0; x < width; x++) {
      out[first + x] = rowRe[x];
      if (y + 1 < height) out[first + width + x] = rowIm[x];
    }
  }
  for (let i = 0; i < data.length; i++) if (data[i] !== data[i]) out[i] = NaN;
  return { data: out, width, height };
}

/** @param {Float32Array} values */
function finiteMean(values) {
  let total = 0;
  let count = 0;
  for (const value of values) {
    if (value !== value) continue;
    total += value;
    count += 1;
  }
  return count ? total / count : 0;
}
