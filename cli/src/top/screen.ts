/** A page on a terminal that the next one takes the place of. */
import { clearScreenDown, moveCursor } from 'node:readline'

const COLUMNS = 80
const ROWS = 24

export class Screen {
  readonly #stream: NodeJS.WriteStream
  #height = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** A line that went on in the next one could not be taken back: it is cut. */
  show(lines: readonly string[]): void {
    // A terminal that does not know its size says 0.
    const columns = this.#stream.columns || COLUMNS
    const rows = this.#stream.rows || ROWS
    if (this.#height > 0) moveCursor(this.#stream, -columns, -this.#height)
    clearScreenDown(this.#stream)
    const shown = lines.slice(0, Math.max(1, rows - 1)).map((line) => line.slice(0, columns - 1))
    this.#stream.write(shown.map((line) => `${line}\n`).join(''))
    this.#height = shown.length
  }
}
