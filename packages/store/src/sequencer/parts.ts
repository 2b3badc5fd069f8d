/**
 * Commands longer than the ring takes at once: sent in parts, put together here before anything looks at them.
 *
 *   byte 0  u8   format, 2
 *   byte 1  u8   stream: a client has two, one for each long command that can be under way
 *   byte 2  u16  slot of the client
 *   byte 4  u32  length of the whole command
 *   byte 8  u32  where this part begins in it
 *   byte 12      the part
 *
 * The parts of a stream come in order, one long command after the other; all else may come in between. A part that
 * does not go on where the last one ended drops what was there: its client died, or is another by now. What dead
 * clients leave is dropped when their slot's next client sends parts, or the room is needed.
 */
import { COMMAND_BYTES_MAX, COMMAND_HEADER_BYTES, NO_SLOT } from './command.ts'

const PART_FORMAT = 2
const STREAMS = 2
export const PART_HEADER_BYTES = 12
/** Of all commands that are under way in parts: what they say that they will be. */
const CLAIMED_BYTES_MAX: number = 2 * COMMAND_BYTES_MAX
const NOTHING: Buffer = Buffer.alloc(0)

interface Assembly {
  bytes: Buffer
  readonly totalBytes: number
  filledBytes: number
}

export function isPart(bytes: Uint8Array, start: number): boolean {
  return bytes[start] === PART_FORMAT
}

/** The records that carry a command, each `recordBytesMax` at most. */
export function* partsOf(
  command: Buffer,
  slot: number,
  stream: number,
  recordBytesMax: number,
): Generator<Buffer> {
  const payloadMax = recordBytesMax - PART_HEADER_BYTES
  for (let at = 0; at < command.length; at += payloadMax) {
    const payload = command.subarray(at, at + payloadMax)
    const part = Buffer.allocUnsafe(PART_HEADER_BYTES + payload.length)
    part[0] = PART_FORMAT
    part[1] = stream
    part.writeUInt16LE(slot, 2)
    part.writeUInt32LE(command.length, 4)
    part.writeUInt32LE(at, 8)
    part.set(payload, PART_HEADER_BYTES)
    yield part
  }
}

/** What a part led to. */
export type PartOutcome =
  | { readonly kind: 'more' }
  | { readonly kind: 'whole'; readonly command: Buffer }
  | { readonly kind: 'refused'; readonly slot: number; readonly reason: 'malformed' | 'full' }

const MORE: PartOutcome = { kind: 'more' }

export class Assemblies {
  readonly #slots: number
  /** The one that waited longest for its next part comes first. */
  readonly #byStream = new Map<number, Assembly>()
  #claimedBytes = 0

  /** @param slots clients that there can be: a part in another's name is garbage */
  constructor(slots: number) {
    this.#slots = slots
  }

  accept(bytes: Buffer, start: number, end: number): PartOutcome {
    if (end - start <= PART_HEADER_BYTES) return refused(NO_SLOT, 'malformed')
    const slot = bytes.readUInt16LE(start + 2)
    if (slot >= this.#slots || bytes[start + 1]! >= STREAMS) return refused(slot, 'malformed')
    const stream = slot * STREAMS + bytes[start + 1]!
    const totalBytes = bytes.readUInt32LE(start + 4)
    const at = bytes.readUInt32LE(start + 8)
    const payload = bytes.subarray(start + PART_HEADER_BYTES, end)
    const begun = this.#take(stream)
    if (totalBytes < COMMAND_HEADER_BYTES || totalBytes > COMMAND_BYTES_MAX) {
      return refused(slot, 'malformed')
    }
    if (at + payload.length > totalBytes) return refused(slot, 'malformed')
    const assembly = at === 0 ? { bytes: NOTHING, totalBytes, filledBytes: 0 } : begun
    // Dropped for want of room, or never begun.
    if (assembly === undefined) return refused(slot, 'full')
    if (assembly.totalBytes !== totalBytes || assembly.filledBytes !== at) {
      return refused(slot, 'malformed')
    }
    fill(assembly, payload)
    if (assembly.filledBytes === totalBytes) {
      return { kind: 'whole', command: assembly.bytes.subarray(0, totalBytes) }
    }
    this.#keep(stream, assembly)
    return MORE
  }

  #take(stream: number): Assembly | undefined {
    const assembly = this.#byStream.get(stream)
    if (assembly === undefined) return undefined
    this.#byStream.delete(stream)
    this.#claimedBytes -= assembly.totalBytes
    return assembly
  }

  /** Behind all others; those that waited longest go when there are too many: theirs may be dead clients. */
  #keep(stream: number, assembly: Assembly): void {
    for (const waiting of this.#byStream.keys()) {
      if (this.#claimedBytes + assembly.totalBytes <= CLAIMED_BYTES_MAX) break
      this.#take(waiting)
    }
    this.#byStream.set(stream, assembly)
    this.#claimedBytes += assembly.totalBytes
  }
}

function refused(slot: number, reason: 'malformed' | 'full'): PartOutcome {
  return { kind: 'refused', slot, reason }
}

/** Memory grows with what has come, not with what a header claims. */
function fill(assembly: Assembly, payload: Uint8Array): void {
  const needed = assembly.filledBytes + payload.length
  if (needed > assembly.bytes.length) {
    const grown = Buffer.allocUnsafe(
      Math.min(assembly.totalBytes, Math.max(needed, 2 * assembly.bytes.length)),
    )
    grown.set(assembly.bytes.subarray(0, assembly.filledBytes))
    assembly.bytes = grown
  }
  assembly.bytes.set(payload, assembly.filledBytes)
  assembly.filledBytes = needed
}
