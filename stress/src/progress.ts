/** How a run shows itself while it lasts: a bar in a terminal, otherwise a line a second. */
import { Presets, SingleBar } from 'cli-progress'

export interface ProgressView {
  /** @param share how much of the run is over, from 0 to 1 */
  show(share: number, text: string): void
  /** A line that stays. */
  note(line: string): void
  end(): void
}

export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
}

export function createProgress(stream: ProgressStream): ProgressView {
  return stream.isTTY === true ? new BarProgress(stream) : new LineProgress(stream)
}

class LineProgress implements ProgressView {
  readonly #stream: NodeJS.WritableStream

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
  }

  show(share: number, text: string): void {
    this.note(`${percent(share)}  ${text}`)
  }

  note(line: string): void {
    this.#stream.write(`${line}\n`)
  }

  end(): void {
    // Each line is whole already.
  }
}

class BarProgress implements ProgressView {
  readonly #stream: NodeJS.WritableStream
  #bar: SingleBar | undefined

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
  }

  show(share: number, text: string): void {
    if (this.#bar === undefined) {
      const format = '{bar} {percentage}%  {text}'
      this.#bar = new SingleBar({ format, stream: this.#stream, barsize: 24 }, Presets.rect)
      this.#bar.start(1000, 0, { text })
    }
    this.#bar.update(Math.round(share * 1000), { text })
  }

  note(line: string): void {
    this.end()
    this.#stream.write(`${line}\n`)
  }

  end(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}

/** Shows nothing. */
export const silentProgress: ProgressView = {
  show: () => undefined,
  note: () => undefined,
  end: () => undefined,
}

export function percent(share: number): string {
  return `${Math.round(share * 100)
    .toString()
    .padStart(3)} %`
}
