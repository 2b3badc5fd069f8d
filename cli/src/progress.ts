/** A bar while something takes long, on a terminal's standard error; elsewhere nothing, so that logs stay short. */
import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** @param total undefined: nobody knows; the text alone is shown then */
  show(done: number, total: number | undefined, text: string): void
  end(): void
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: () => undefined, end: () => undefined }
  let bar: SingleBar | undefined
  return {
    show(done, total, text) {
      const end = Math.max(1, total ?? done)
      if (bar === undefined) {
        const format = total === undefined ? '{text}' : '{bar} {percentage}%  {text}'
        const options = { format, stream, barsize: 24, clearOnComplete: true }
        bar = new SingleBar(options, Presets.rect)
        bar.start(end, 0, { text })
      }
      bar.setTotal(end)
      bar.update(Math.min(done, end), { text })
    },
    end() {
      bar?.stop()
      bar = undefined
    },
  }
}
