/** A bar while something takes long, on a terminal's standard error; elsewhere nothing, so that logs stay short. */
import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  show(done: number, total: number, text: string): void
  end(): void
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: () => undefined, end: () => undefined }
  let bar: SingleBar | undefined
  return {
    show(done, total, text) {
      if (bar === undefined) {
        const format = '{bar} {percentage}%  {text}'
        const options = { format, stream, barsize: 24, clearOnComplete: true }
        bar = new SingleBar(options, Presets.rect)
        bar.start(Math.max(1, total), 0, { text })
      }
      bar.setTotal(Math.max(1, total))
      bar.update(Math.min(done, total), { text })
    },
    end() {
      bar?.stop()
      bar = undefined
    },
  }
}
