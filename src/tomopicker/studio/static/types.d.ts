// Types of the server's JSON values, for the type checker only.

export type Plane = "xy" | "xz" | "yz";
export type Vector = [number, number, number];
export type Label = "particle" | "negative";

export interface Point { x: number; y: number; z: number; label: Label; origin: string }
export interface Sheet { version: number; points: Point[] }
export interface Kind { name: string; diameter: number; colour: string }
export interface Change { kind: string; tomogram: string; added: Point[]; removed: Point[] }
export interface Status { undo: number; redo: number; trouble: string | null }
export interface Reply extends Status { change: Change | null; version: number; edited?: string }

export interface State {
  version: string; project: string; kinds: Kind[]; instant: boolean; trouble: string | null;
  tomograms: { name: string; volumes: string[] }[];
  programs: { name: string; title: string }[];
  undo: number; redo: number;
}

export interface Tomogram {
  name: string; volume: string;
  shape: Vector;          // z, y, x in voxels
  voxelSize: number;      // Å
  origin: Vector;         // x, y, z in Å of the first voxel's centre
  size: Vector;           // x, y, z in Å of the last voxel's centre
  quantiles: number[];    // bytes, 0 to 100 %; centred on 0 after deconvolution
  deconvolution: Deconvolution | null;  // the filter that the quantiles refer to
  brick: { factor: number; shape: Vector; order: number[] };
  warnings: string[];
  features: string;
}

/** µm, kV, degrees of a phase plate, and the signal-to-noise ratio's strength and falloff. */
export interface Deconvolution { defocus: number; voltage: number; phase: number; strength: number; falloff: number }
export interface Slab { data: Float32Array; width: number; height: number }
export interface Candidates {
  candidates: [number, number, number, number][];
  threshold: number; count: Vector | null; particles: number; expected: Vector | null;
  features: string; trouble: string | null;
  elsewhere: { tomograms: number; done: number; picks: number };  // in the other tomograms of the list
}
export interface Suggestion { tomogram: string; position: Vector; probability: number | null; reason: string }
export interface Job {
  id: string; title: string; kind: string; command: string; started: number; state: string; stopping: boolean; last: string;
  progress: { title: string; done: number; total: number; words: string } | null;
}
export interface ListRow {
  tomogram: string; clicks: number; negatives: number; picks: number | null; source: string; median: number | null;
  note: string; reviewed: boolean; unusual: string[];
}
export interface ReviewRow {
  tomogram: string; picks: number; was: number; candidates: number; threshold: number; count: Vector | null;
  precision: number; recall: number; f1: number; median: number | null; unusual: boolean;
}
export interface Review { tomograms: ReviewRow[]; histogram: number[]; failed: Record<string, string>; folder: string | null }  // null: instant picks
export interface Item {
  tomogram: string; position: Vector; probability: number; answer: string; picked: boolean; listed: boolean;
}
export interface Finding { status: string; test: string; message: string; fix: string }
