/**
 * How far each lane of each incarnation is: operations acknowledged, one word a lane. The lane's worker
 * writes, the driver and the verifier read; a worker that dies leaves its words as they were.
 */
export class LaneRegion {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #lanes: number

  constructor(buffer: SharedArrayBuffer, lanes: number) {
    this.buffer = buffer
    this.#words = new Int32Array(buffer)
    this.#lanes = lanes
  }

  static create(incarnations: number, lanes: number): LaneRegion {
    return new LaneRegion(new SharedArrayBuffer(incarnations * lanes * 4), lanes)
  }

  placeOf(incarnation: number, lane: number): number {
    return incarnation * this.#lanes + lane
  }

  set(incarnation: number, lane: number, acknowledged: number): void {
    // Tells the driver and, after this incarnation's death, the verifier.
    Atomics.store(this.#words, this.placeOf(incarnation, lane), acknowledged)
  }

  all(): number[] {
    return Array.from({ length: this.#words.length }, (_, at) => Atomics.load(this.#words, at))
  }
}
