/**
 * The order in which a log must write, sync, rename and acknowledge, as rules over a recorded trace of
 * calls: where the calls come from does not matter. Pure.
 *
 * Rules
 *  O1 No acknowledgement while a segment has writes that no sync of it has followed.
 *  O2 No acknowledgement while a segment's name, given or taken away, is not synced with the folder.
 *  O3 A file becomes a segment by being renamed, never by being created under a segment's name, and
 *     nothing in it is unsynced at that moment.
 *  O4 A new segment gets its name only when all earlier ones are synced.
 *  O5 Nothing is written to a file whose renaming is not synced with the folder.
 *  O6 A file of which a write or a sync failed is neither written nor synced again, and after such a
 *     failure of a segment, or of a change or a sync of a segment's name, nothing is acknowledged until
 *     the log is opened again. (A spare that cannot be prepared is no failure of the log.)
 */

/** One call of a trace. `file` stands for the file itself, whatever its name is at the time. */
export type TraceEvent =
  | { readonly kind: 'open' | 'create'; readonly file: number; readonly name: string }
  | { readonly kind: 'write' | 'sync'; readonly file: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'syncFolder' }
  /** All that was written before is reported as durable. */
  | { readonly kind: 'acknowledge' }
  | { readonly kind: 'failed'; readonly call: 'write' | 'sync'; readonly file: number }
  | { readonly kind: 'failed'; readonly call: 'rename' | 'remove'; readonly name: string }
  | { readonly kind: 'failed'; readonly call: 'syncFolder' }
  /** A log is opened: a new process, as far as O6 goes. */
  | { readonly kind: 'start' }

export interface OrderViolation {
  readonly rule: 'O1' | 'O2' | 'O3' | 'O4' | 'O5' | 'O6'
  /** Index of the event that breaks the rule. */
  readonly event: number
  readonly text: string
}

interface TracedFile {
  name: string
  written: boolean
  /** Its name was changed, and the folder not synced since. */
  renamed: boolean
  failed: boolean
}

export function isSegment(name: string): boolean {
  return name.endsWith('.seg')
}

/** All violations, in the order of their events. Files that no event speaks of are taken as durable. */
export function checkSyncOrder(events: readonly TraceEvent[]): OrderViolation[] {
  const checker = new OrderChecker()
  for (const event of events) checker.take(event)
  return checker.violations
}

class OrderChecker {
  readonly violations: OrderViolation[] = []
  readonly #files = new Map<number, TracedFile>()
  readonly #namesUnsynced = new Set<string>()
  #event = 0
  #failed: string | undefined

  take(event: TraceEvent): void {
    switch (event.kind) {
      case 'open':
      case 'create':
        this.#appear(event.kind, event.file, event.name)
        break
      case 'write':
        this.#write(this.#fileOf(event.file))
        break
      case 'sync':
        this.#sync(this.#fileOf(event.file))
        break
      case 'rename':
        this.#rename(event.from, event.to)
        break
      case 'remove':
        this.#remove(event.name)
        break
      case 'syncFolder':
        this.#namesUnsynced.clear()
        for (const file of this.#files.values()) file.renamed = false
        break
      case 'acknowledge':
        this.#acknowledge()
        break
      case 'failed':
        this.#fail(event)
        break
      case 'start':
        this.#start()
        break
    }
    this.#event++
  }

  #fail(event: TraceEvent & { kind: 'failed' }): void {
    switch (event.call) {
      case 'write':
      case 'sync': {
        const file = this.#fileOf(event.file)
        file.failed = true
        if (isSegment(file.name)) this.#failed = `${event.call} of ${file.name}`
        return
      }
      case 'rename':
      case 'remove':
        if (isSegment(event.name)) this.#failed = `${event.call} of ${event.name}`
        return
      case 'syncFolder':
        for (const name of this.#namesUnsynced) {
          if (isSegment(name)) this.#failed = `syncFolder after a change of ${name}`
        }
    }
  }

  #start(): void {
    this.#failed = undefined
    for (const file of this.#files.values()) file.failed = false
  }

  #appear(kind: 'open' | 'create', file: number, name: string): void {
    if (kind === 'create' && isSegment(name)) this.#break('O3', `${name} was created as a segment`)
    if (kind === 'create') this.#namesUnsynced.add(name)
    if (!this.#files.has(file))
      this.#files.set(file, { name, written: false, renamed: false, failed: false })
  }

  #write(file: TracedFile): void {
    if (file.renamed) this.#break('O5', `${file.name} was written to, its new name not yet synced`)
    if (file.failed) this.#break('O6', `${file.name} was written to after a failure`)
    file.written = true
  }

  #sync(file: TracedFile): void {
    if (file.failed) this.#break('O6', `${file.name} was synced after a failure`)
    file.written = false
  }

  #rename(from: string, to: string): void {
    for (const file of this.#files.values()) if (file.name === to) file.name = ''
    const renamed = this.#named(from)
    if (isSegment(to)) {
      if (renamed?.written === true) {
        this.#break('O3', `${from} became ${to} with writes that are not synced`)
      }
      for (const { name, written } of this.#files.values()) {
        if (isSegment(name) && written) {
          this.#break('O4', `${to} got its name while ${name} has writes that are not synced`)
        }
      }
    }
    if (renamed !== undefined) {
      renamed.name = to
      renamed.renamed = true
    }
    this.#namesUnsynced.add(from)
    this.#namesUnsynced.add(to)
  }

  #remove(name: string): void {
    const removed = this.#named(name)
    if (removed !== undefined) removed.name = ''
    this.#namesUnsynced.add(name)
  }

  #acknowledge(): void {
    if (this.#failed !== undefined) this.#break('O6', `acknowledged after a failed ${this.#failed}`)
    for (const { name, written } of this.#files.values()) {
      if (isSegment(name) && written) this.#break('O1', `${name} has writes that are not synced`)
    }
    for (const name of this.#namesUnsynced) {
      if (isSegment(name)) this.#break('O2', `the name ${name} is not synced with the folder`)
    }
  }

  #named(name: string): TracedFile | undefined {
    for (const file of this.#files.values()) if (file.name === name) return file
    return undefined
  }

  #fileOf(file: number): TracedFile {
    const known = this.#files.get(file)
    if (known === undefined) throw new RangeError(`the trace has no file ${file}`)
    return known
  }

  #break(rule: OrderViolation['rule'], text: string): void {
    this.violations.push({ rule, event: this.#event, text })
  }
}
