/**
 * Deliberate damage: one durable byte of a main file that was closed cleanly is changed, which no crash does.
 * Whatever reads it must say so, by a typed error; nobody may ever be given a wrong value.
 */
import { errorToPlain, isRingboltError } from '@ringbolt/ring'
import { type Random, SimulationFailure } from '@ringbolt/wal/simulation'
import { PAGE_BYTES } from '../page/page.ts'
import { META_BYTES } from '../space/main-layout.ts'
import { PageUse } from '../space/page-uses.ts'
import { structureOf } from './audit.ts'
import { MAIN_NAME } from './simulated-folders.ts'
import type { StoreSimulation } from './store-simulation.ts'

const REFUSALS: ReadonlySet<string> = new Set([
  'RINGBOLT_CORRUPT',
  'RINGBOLT_FOREIGN',
  'RINGBOLT_VERSION',
])

export function checkDamage(simulation: StoreSimulation, random: Random): void {
  const { disk, folders, coverage, lines } = simulation
  const { uses } = structureOf(folders.main)
  const pageId = random.below(disk.contentOf(MAIN_NAME).length / PAGE_BYTES)
  // Most of a meta is unused, and a byte of it changes as much as any other.
  const within = pageId < 2 && random.chance(0.8) ? META_BYTES : PAGE_BYTES
  const position = pageId * PAGE_BYTES + random.below(within)
  disk.damage(MAIN_NAME, position, random.between(1, 255))
  const use = pageId < 2 ? 'meta' : uses.textsOf(pageId).join() || 'beyond'
  lines?.push(`damage at byte ${position}, page ${pageId}: ${use}`)
  coverage.add(`damage: ${use}`)
  simulation.isDamaged = true
  const refusal = refusalOf(simulation)
  lines?.push(`  ${refusal ?? 'nobody noticed'}`)
  coverage.add(refusal === undefined ? 'damage: of what nobody reads' : 'damage: refused')
  const isNeeded = uses.has(pageId, PageUse.reached) || uses.has(pageId, PageUse.freeList)
  // What was left of a dropped tree nobody reads, but who looks through the file.
  if (refusal === undefined && isNeeded && structureOf(folders.main).findings.length === 0) {
    throw new SimulationFailure(`damage of page ${pageId} (${use}) at byte ${position}: not found`)
  }
}

/** Opens and reads everything; anything but the right values or a typed refusal throws. */
function refusalOf(simulation: StoreSimulation): string | undefined {
  try {
    simulation.closeWithoutAudit(simulation.openSurely())
  } catch (error) {
    if (!isRingboltError(error) || !REFUSALS.has(error.code)) throw error
    return errorToPlain(error).message
  }
  return undefined
}
