import { SHAPES_MAX, type ShapeStore } from '../shapes.ts'

/** A ShapeStore for tests and measurements: registers at once, up to the limit. */
export class MemoryShapes implements ShapeStore {
  readonly lists: (readonly string[])[] = []
  /** How often a shape was asked for or proposed. */
  calls = 0

  shape(id: number): readonly string[] | undefined {
    this.calls++
    return this.lists[id - 1]
  }

  idOf(keys: readonly string[]): number | undefined {
    this.calls++
    const text = JSON.stringify(keys)
    const known = this.lists.findIndex((list) => JSON.stringify(list) === text)
    if (known >= 0) return known + 1
    return this.lists.length < SHAPES_MAX ? this.lists.push(keys) : undefined
  }
}
