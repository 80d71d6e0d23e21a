// The brick: a binned copy of a volume, streamed once, from which slab means are computed.

/** @typedef {import("./types").Plane} Plane */
/** @typedef {import("./types").Vector} Vector */
/** @typedef {import("./types").Slab} Slab */

export class Brick {
  /** @param {Vector} shape z, y, x @param {number} factor Tomogram voxels per brick voxel */
  constructor(shape, factor) {
    this.shape = shape;
    this.factor = factor;
    this.data = new Uint8Array(shape[0] * shape[1] * shape[2]);
    this.there = new Uint8Array(shape[0]);
    this.received = 0;
  }

  get isWhole() {
    return this.received === this.shape[0];
  }

  /** @param {number} z @param {Uint8Array} section */
  put(z, section) {
    this.data.set(section, z * this.shape[1] * this.shape[2]);
    if (!this.there[z]) this.received += 1;
    this.there[z] = 1;
  }

  /**
   * The index range [start, stop) along an axis (0, 1, 2 for z, y, x) of a slab.
   * @param {number} axis @param {number} middle @param {number} thickness Both in tomogram voxels
   */
  range(axis, middle, thickness) {
    const size = this.shape[axis];
    const count = Math.min(size, Math.max(1, Math.round(thickness / this.factor)));
    const centre = (middle + 0.5) / this.factor - 0.5;
    const start = Math.min(size - count, Math.max(0, Math.floor(centre - count / 2 + 1)));
    return [start, start + count];
  }

  /**
   * The mean of a slab: rows y, columns x for xy; z, x for xz; y, z for yz. NaN where nothing has been received yet.
   * @param {Plane} plane @param {number} start @param {number} stop
   * @returns {Slab}
   */
  slab(plane, start, stop) {
    if (plane === "xy") return this.alongZ(start, stop);
    return plane === "xz" ? this.alongY(start, stop) : this.alongX(start, stop);
  }

  /** @param {number} start @param {number} stop @returns {Slab} */
  alongZ(start, stop) {
    const [, height, width] = this.shape;
    const size = width * height;
    const sum = new Float32Array(size);
    let count = 0;
    for (let z = start; z < stop; z++) {
      if (!this.there[z]) continue;
      count += 1;
      const first = z * size;
      for (let i = 0; i < size; i++) sum[i] += this.data[first + i];
    }
    if (count === 0) sum.fill(NaN);
    else for (let i = 0; i < size; i++) sum[i] /= count;
    return { data: sum, width, height };
  }

  /** @param {number} start @param {number} stop @returns {Slab} */
  alongY(start, stop) {
    const [depth, height, width] = this.shape;
    const out = new Float32Array(depth * width);
    const share = 1 / (stop - start);
    for (let z = 0; z < depth; z++) {
      const row = z * width;
      if (!this.there[z]) {
        out.fill(NaN, row, row + width);
        continue;
      }
      for (let y = start; y < stop; y++) {
        const first = (z * height + y) * width;
        for (let x = 0; x < width; x++) out[row + x] += this.data[first + x] * share;
      }
    }
    return { data: out, width, height: depth };
  }

  /** @param {number} start @param {number} stop @returns {Slab} */
  alongX(start, stop) {
    const [depth, height, width] = this.shape;
    const out = new Float32Array(height * depth);
    const share = 1 / (stop - start);
    for (let z = 0; z < depth; z++) {
      for (let y = 0; y < height; y++) {
        const first = (z * height + y) * width;
        let sum = 0;
        for (let x = start; x < stop; x++) sum += this.data[first + x];
        out[y * depth + z] = this.there[z] ? sum * share : NaN;
      }
    }
    return { data: out, width: depth, height };
  }

  /**
   * Store sections as they arrive from a stream.
   * @param {ReadableStream<Uint8Array>} stream @param {number[]} order @param {() => void} onSection
   */
  async read(stream, order, onSection) {
    const size = this.shape[1] * this.shape[2];
    const section = new Uint8Array(size);
    const reader = stream.getReader();
    let filled = 0;
    let next = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let taken = 0;
      while (taken < value.length && next < order.length) {
        const part = value.subarray(taken, taken + size - filled);
        section.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled === size) {
          this.put(order[next], section);
          next += 1;
          filled = 0;
          onSection();
        }
      }
    }
  }
}
