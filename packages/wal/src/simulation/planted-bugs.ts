/**
 * Stores that break one promise each, as a careless log or file store would: the campaign must find every
 * one of them. For tests.
 */
import { isZero } from '../frame.ts'
import { TERMINATOR_BYTES } from '../layout.ts'
import type { LogFile, LogStore } from '../log-store.ts'
import type { SimulationContext } from './simulation.ts'

/** Passes every call on; the bugs override what they break. */
class PassingStore implements LogStore {
  protected readonly store: LogStore

  constructor(store: LogStore) {
    this.store = store
  }

  get location(): string {
    return this.store.location
  }

  list(): string[] {
    return this.store.list()
  }

  open(name: string): LogFile {
    return this.wrap(this.store.open(name))
  }

  create(name: string): LogFile {
    return this.wrap(this.store.create(name))
  }

  rename(from: string, to: string): void {
    this.store.rename(from, to)
  }

  remove(name: string): void {
    this.store.remove(name)
  }

  syncFolder(): void {
    this.store.syncFolder()
  }

  protected wrap(file: LogFile): LogFile {
    return file
  }
}

interface Overrides {
  readonly sync?: (file: LogFile) => void
  readonly writeAt?: (file: LogFile, position: number, parts: readonly Uint8Array[]) => void
}

function withOverrides(file: LogFile, { sync, writeAt }: Overrides): LogFile {
  return {
    name: file.name,
    readAt: (position, target) => file.readAt(position, target),
    writeAt: (position, parts) =>
      writeAt === undefined ? file.writeAt(position, parts) : writeAt(file, position, parts),
    sync: () => (sync === undefined ? file.sync() : sync(file)),
    length: () => file.length(),
    truncate: (lengthBytes) => file.truncate(lengthBytes),
    close: () => file.close(),
  }
}

type Plant = (store: LogStore, context: SimulationContext) => LogStore

function plantFileBug(overrides: (context: SimulationContext) => Overrides): Plant {
  return (store, context) =>
    new (class extends PassingStore {
      protected override wrap(file: LogFile): LogFile {
        return withOverrides(file, overrides(context))
      }
    })(store)
}

/** What the log is doing when only a rotation can make it sync. */
const SYNCS_ONLY_TO_ROTATE: ReadonlySet<string> = new Set(['append', 'flush', 'writeGroup'])

function areZero(parts: readonly Uint8Array[]): boolean {
  return parts.every((part) => isZero(part))
}

function overwritesTail(
  { activity }: SimulationContext,
  file: LogFile,
  parts: readonly Uint8Array[],
): boolean {
  return activity === 'open' && file.name.endsWith('.seg') && areZero(parts)
}

function unterminated(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  return parts.length > 2 && parts.at(-1)?.length === TERMINATOR_BYTES ? parts.slice(0, -1) : parts
}

const neverSyncFolder: Plant = (store) =>
  new (class extends PassingStore {
    override syncFolder(): void {
      // The bug: nothing becomes certain.
    }
  })(store)

/** The sync that should follow each rename is left out. */
const forgetFolderSync: Plant = (store) => {
  let renamed = false
  return new (class extends PassingStore {
    override rename(from: string, to: string): void {
      super.rename(from, to)
      renamed = true
    }

    override syncFolder(): void {
      if (!renamed) super.syncFolder()
      renamed = false
    }
  })(store)
}

/** Syncs are made, but only when the next change comes: what was acknowledged in between was so too early. */
const acknowledgeBeforeSync: Plant = (store) => {
  let due: LogFile | undefined
  const settle = (): void => {
    const file = due
    due = undefined
    file?.sync()
  }
  return new (class extends PassingStore {
    override rename(from: string, to: string): void {
      settle()
      super.rename(from, to)
    }

    override syncFolder(): void {
      settle()
      super.syncFolder()
    }

    protected override wrap(file: LogFile): LogFile {
      const writeAt = (_: LogFile, position: number, parts: readonly Uint8Array[]): void => {
        settle()
        file.writeAt(position, parts)
      }
      const overridden = withOverrides(file, { writeAt, sync: () => void (due = file) })
      // A file whose sync is still to come stays open for it.
      return { ...overridden, close: () => undefined }
    }
  })(store)
}

/** The name of a new segment becomes certain before its content does. */
const nameBeforeContent: Plant = (store) => {
  let due: LogFile | undefined
  return new (class extends PassingStore {
    override syncFolder(): void {
      super.syncFolder()
      const file = due
      due = undefined
      file?.sync()
    }

    override open(name: string): LogFile {
      const file = super.open(name)
      return name.startsWith('spare') ? this.#lateSync(file) : file
    }

    override create(name: string): LogFile {
      return this.#lateSync(super.create(name))
    }

    #lateSync(file: LogFile): LogFile {
      // The log closes the file before it renames it; this one stays open until its late sync.
      return { ...withOverrides(file, { sync: () => void (due = file) }), close: () => undefined }
    }
  })(store)
}

export const PLANTED_BUGS: ReadonlyMap<string, Plant> = new Map<string, Plant>([
  ['a sync that does nothing', plantFileBug(() => ({ sync: () => undefined }))],
  ['a folder sync that does nothing', neverSyncFolder],
  ['no folder sync after a rename', forgetFolderSync],
  ['acknowledgement before the sync', acknowledgeBeforeSync],
  [
    'a failed sync that is tried again',
    plantFileBug(() => ({
      sync: (file) => {
        try {
          file.sync()
        } catch {
          file.sync()
        }
      },
    })),
  ],
  [
    'no sync of the old segment before a rotation',
    plantFileBug((context) => ({
      sync: (file) => {
        const rotating = SYNCS_ONLY_TO_ROTATE.has(context.activity) && file.name.endsWith('.seg')
        if (!rotating) file.sync()
      },
    })),
  ],
  ['a new segment named before its content is certain', nameBeforeContent],
  [
    'neither an overwritten torn tail nor a terminator',
    plantFileBug((context) => ({
      writeAt: (file, position, parts) => {
        if (!overwritesTail(context, file, parts)) file.writeAt(position, unterminated(parts))
      },
    })),
  ],
  [
    'a recovery that does not write unproven groups again',
    plantFileBug((context) => ({
      writeAt: (file, position, parts) => {
        const rewriting =
          context.activity === 'open' && file.name.endsWith('.seg') && !areZero(parts)
        if (!rewriting) file.writeAt(position, parts)
      },
    })),
  ],
  [
    'a recovery that does not sync what it repairs',
    plantFileBug((context) => ({
      sync: (file) => {
        const repairing = context.activity === 'open' && file.name.endsWith('.seg')
        if (!repairing) file.sync()
      },
    })),
  ],
])

/** Found because a log that was closed is not clean when it is opened again; nothing is lost by it. */
export const UNTIDY_BUGS: ReadonlyMap<string, Plant> = new Map<string, Plant>([
  [
    'no terminator after a group',
    plantFileBug(() => ({
      writeAt: (file, position, parts) => file.writeAt(position, unterminated(parts)),
    })),
  ],
  [
    'a recovery that does not overwrite the torn tail',
    plantFileBug((context) => ({
      writeAt: (file, position, parts) => {
        if (!overwritesTail(context, file, parts)) file.writeAt(position, parts)
      },
    })),
  ],
])
