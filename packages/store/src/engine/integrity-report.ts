/** The result of an integrity check, and the list that its findings go into. */
import type { Found, IntegrityFinding } from '../finding.ts'
import { PAGE_BYTES } from '../page/page.ts'

export interface IntegrityReport {
  /** The highest commit sequence of the state that was looked at. */
  readonly sequence: number
  /** Pages that the state is made of; free ones are not read. */
  readonly pages: number
  readonly documents: number
  readonly indexEntries: number
  /** What was read: pages, and the log. */
  readonly bytes: number
  readonly durationMs: number
  /** Nothing: it is sound. */
  readonly findings: readonly IntegrityFinding[]
  /** What could not be told, and why; and how many findings are not listed. */
  readonly notes: readonly string[]
}

export interface IntegrityProgress {
  readonly pages: number
  /** About how many there are. */
  readonly pagesTotal: number
  readonly findings: number
}

export interface IntegrityOptions {
  /** Called now and then, every few milliseconds of work at the most often. */
  readonly onProgress?: (progress: IntegrityProgress) => void
}

/** What is wrong with one page may make thousands of others wrong. */
const FINDINGS_MAX = 1000

export class Findings {
  readonly list: IntegrityFinding[] = []
  readonly notes: string[] = []
  readonly #file: string
  #count = 0

  /** @param file the main file */
  constructor(file: string) {
    this.#file = file
  }

  get count(): number {
    return this.#count
  }

  readonly add = (found: Found): void => {
    this.#count++
    if (this.list.length >= FINDINGS_MAX) return
    const { problem, pageId, ...rest } = found
    const { what, expected, actual } = found
    const file = found.file ?? this.#file
    const offset = found.offset ?? (pageId ?? 0) * PAGE_BYTES
    const text = problem ?? `${what} is ${actual}, expected ${expected}`
    const place = pageId === undefined ? '' : `page ${pageId}: `
    const message = text.startsWith(file) ? text : `${file} at byte ${offset}: ${place}${text}`
    const located = pageId === undefined ? { file, offset } : { file, offset, pageId }
    this.list.push({ ...rest, ...located, message })
  }

  /** All that another list of the same file has. */
  take(other: Findings): void {
    this.#count += other.count - other.list.length
    for (const finding of other.list) {
      this.#count++
      if (this.list.length < FINDINGS_MAX) this.list.push(finding)
    }
    this.notes.push(...other.notes)
  }

  note(text: string): void {
    this.notes.push(text)
  }

  /** The notes, with one more when findings were too many. */
  get allNotes(): readonly string[] {
    const more = this.#count - this.list.length
    return more === 0 ? this.notes : [...this.notes, `${more} more findings are not listed`]
  }
}
