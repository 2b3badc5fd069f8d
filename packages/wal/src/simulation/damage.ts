/**
 * Deliberate damage: one durable byte of a closed log is changed, which no crash does. Opening must
 * refuse, or lose no more than what nothing else proves to have been durable; it must never give a
 * wrong record. Salvage must then keep everything before the damage, also when it is interrupted.
 */
import { isRingboltError } from '@ringbolt/ring'
import { LogVersionError } from '../errors.ts'
import { groupBytes, SEGMENT_FIRST_GROUP_OFFSET } from '../layout.ts'
import { SegmentedLog, type SegmentInfo } from '../segmented-log.ts'
import { checkContent, checkRead, differ } from './oracle.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'

const REFUSALS: ReadonlySet<string> = new Set([
  'RINGBOLT_CORRUPT',
  'RINGBOLT_FOREIGN',
  'RINGBOLT_VERSION',
  'RINGBOLT_WRONG_LOG',
])

interface Damage {
  readonly name: string
  readonly position: number
  /** Up to where the log is sound. */
  readonly soundLsn: number
  readonly kind: 'header' | 'group' | 'unused'
}

export function checkDamage(simulation: Simulation, random: Random): void {
  const probe = simulation.open()
  const segments = probe.listSegments()
  const ends = new Map(probe.segments.map(({ name, endPosition }) => [name, endPosition]))
  const cuts = new Set(probe.segments.filter(({ header }) => header.cut).map(({ name }) => name))
  probe.close()
  const damage = inflict(simulation, segments, random)
  simulation.coverage.add(`damage: ${damage.kind}`)
  simulation.lines?.push(`damage ${JSON.stringify(damage)}`)
  simulation.restart()
  let log: SegmentedLog
  try {
    log = simulation.open()
  } catch (error) {
    const code = isRingboltError(error) ? error.code : ''
    if (!REFUSALS.has(code)) throw error
    simulation.lines?.push(`refused: ${String(error)}`)
    simulation.coverage.add('damage: refused')
    simulation.fail(
      segments.some(({ name }) => name === damage.name)
        ? undefined
        : `damage of ${damage.name}, which holds no records, was refused: ${String(error)}`,
    )
    const cutDamaged = damage.kind === 'header' && cuts.has(damage.name)
    salvage(simulation, damage, random, { cutDamaged, ends })
    return
  }
  simulation.coverage.add('damage: opened')
  simulation.fail(checkSurvivor(simulation, log, damage, segments))
  log.close()
}

function inflict(simulation: Simulation, segments: readonly SegmentInfo[], random: Random): Damage {
  const { disk, model } = simulation
  const spares = disk.list().filter((name) => !segments.some((segment) => segment.name === name))
  const spare = spares.length > 0 && random.chance(0.1) ? random.pick(spares) : undefined
  const segment = random.pick(segments)
  const name = spare ?? segment.name
  const length = disk.contentOf(name).length
  // Most of a segment is unused: aim at what is not, as a rule.
  const used = SEGMENT_FIRST_GROUP_OFFSET + 2 * (segment.endLsn - segment.firstLsn) + 200
  const position = random.below(random.chance(0.8) ? Math.min(length, used) : length)
  disk.damage(name, position, random.between(1, 255))
  const endLsn = model.endLsn
  if (spare !== undefined) return { name, position, soundLsn: endLsn, kind: 'unused' }
  if (position < SEGMENT_FIRST_GROUP_OFFSET) {
    return { name, position, soundLsn: segment.firstLsn, kind: 'header' }
  }
  let end = SEGMENT_FIRST_GROUP_OFFSET
  for (const { firstLsn, bodyBytes } of model.groups) {
    if (firstLsn < segment.firstLsn || firstLsn >= segment.endLsn) continue
    end += groupBytes(bodyBytes, 1)
    if (position < end) return { name, position, soundLsn: firstLsn, kind: 'group' }
  }
  // Behind the last group; but behind a cut, groups that are void may still be checked.
  return { name, position, soundLsn: segment.endLsn, kind: 'unused' }
}

/** The log opened in spite of the damage: was it right to? */
function checkSurvivor(
  simulation: Simulation,
  log: SegmentedLog,
  damage: Damage,
  segments: readonly SegmentInfo[],
): string | undefined {
  const { model } = simulation
  const { endLsn } = log
  if (damage.kind === 'header') return `opened although the header of ${damage.name} is damaged`
  const lost = model.groups.filter((group) => group.firstLsn >= endLsn)
  if (lost.length > 0) {
    if (damage.kind !== 'group' || endLsn !== damage.soundLsn) {
      return `damage from LSN ${damage.soundLsn} on, and the log ends at ${endLsn}`
    }
    const proof = lost.slice(1).find(({ claimedLsn }) => claimedLsn > endLsn)
    if (proof !== undefined) {
      return `dropped from LSN ${endLsn} on, though epoch ${proof.epoch} says it was durable up to ${proof.claimedLsn}`
    }
    if (damage.name !== segments.at(-1)?.name) {
      return `dropped from LSN ${endLsn} on, though a segment follows`
    }
    simulation.coverage.add('damage: last groups dropped')
  }
  model.adopt(log.firstLsn, endLsn, log.nextEpoch)
  return checkContent(log, model)
}

function salvage(
  simulation: Simulation,
  damage: Damage,
  random: Random,
  { cutDamaged, ends }: { cutDamaged: boolean; ends: ReadonlyMap<string, number> },
): void {
  const originals = contentFrom(simulation, damage.name, ends)
  if (random.chance(0.5)) interrupt(simulation, random)
  const { segmentBytes, sync } = simulation.geometry
  const { logId } = simulation
  const options = { recovery: 'salvage', create: true, logId, segmentBytes, sync } as const
  let log: SegmentedLog
  try {
    log = SegmentedLog.open(simulation.disk, options)
  } catch (error) {
    if (!(error instanceof LogVersionError)) throw error
    simulation.coverage.add('damage: newer version refused')
    return
  }
  simulation.coverage.add('damage: salvaged')
  const { model } = simulation
  const all = damage.soundLsn === model.base.lsn && damage.kind === 'header'
  simulation.fail(
    log.endLsn < damage.soundLsn && !all
      ? `salvage ends at LSN ${log.endLsn}, but up to ${damage.soundLsn} all is sound`
      : undefined,
  )
  if (cutDamaged) {
    // Where the cut was, only its header knew: what it made void may be back.
    simulation.fail(checkRead(log, model, log.firstLsn, Math.min(damage.soundLsn, log.endLsn)))
  } else {
    model.adopt(log.firstLsn, log.endLsn, log.nextEpoch)
    simulation.fail(checkContent(log, model))
  }
  const record = new Uint8Array([1, 2, 3])
  log.appendAndSync(record)
  const { endLsn } = log
  if (sync !== 'full') log.sync()
  simulation.disk.crash('power')
  simulation.restart()
  const again = simulation.open()
  simulation.fail(differ('end LSN after salvage', endLsn, again.endLsn))
  again.close()
  simulation.fail(checkKept(simulation, originals))
}

/**
 * The damaged segment and all after it, up to where their groups end: what salvage leaves out, and must
 * keep under other names. Behind its groups a file may read differently once pages are evicted.
 */
function contentFrom(
  { disk }: Simulation,
  first: string,
  ends: ReadonlyMap<string, number>,
): Map<string, Uint8Array> {
  const names = [...ends.keys()].filter((name) => name >= first)
  return new Map(names.map((name) => [name, disk.contentOf(name).subarray(0, ends.get(name))]))
}

function checkKept({ disk }: Simulation, originals: Map<string, Uint8Array>): string | undefined {
  const kept = disk.list().map((name) => disk.contentOf(name))
  for (const [name, content] of originals) {
    if (!kept.some((candidate) => startsWith(candidate, content))) {
      return `salvage left ${name} out and kept it nowhere`
    }
  }
  return undefined
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}

/** Salvages until a crash comes in between, or does it all. */
function interrupt(simulation: Simulation, random: Random): void {
  const { disk } = simulation
  const kind = random.chance(0.7) ? 'power' : 'kill'
  disk.planCrash({ call: 'any', nth: random.between(1, 30), phase: 'middle', kind })
  const { segmentBytes, sync } = simulation.geometry
  const { logId } = simulation
  try {
    SegmentedLog.open(disk, { recovery: 'salvage', logId, segmentBytes, sync }).close()
  } catch (error) {
    if (disk.crashed === undefined && !(error instanceof LogVersionError)) throw error
    if (disk.crashed !== undefined) simulation.coverage.add('crash while: salvaging')
  }
  simulation.restart()
}
