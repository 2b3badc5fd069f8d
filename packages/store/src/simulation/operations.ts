/** The operations of a workload: made on the engine through its clients, announced to the model, checked. */
import { errorToPlain } from '@ringbolt/ring'
import { LogIoError } from '@ringbolt/wal'
import type { Random } from '@ringbolt/wal/simulation'
import { SimulationFailure } from '@ringbolt/wal/simulation'
import { SnapshotExpiredError } from '../errors.ts'
import type { SimulatedClient, Snapshot } from './client.ts'
import { checkKeys, checkPages, checkState, drawKeys, holdValue } from './oracle.ts'
import type { Session } from './session.ts'
import { keyOfText } from './store-model.ts'
import type { OperationKind } from './store-plan.ts'
import type { StoreSimulation } from './store-simulation.ts'

/** Pins of one client; the region holds a few more. */
const SNAPSHOTS_MAX = 4
/** Commands whose outcome the model cannot foretell, under way at once. */
const UNCERTAIN_MAX = 3

export class Operations {
  readonly #simulation: StoreSimulation
  readonly #session: Session

  constructor(simulation: StoreSimulation, session: Session) {
    this.#simulation = simulation
    this.#session = session
    for (let at = 0; at < simulation.geometry.clients; at++) session.attachClient()
  }

  perform(weights: readonly (readonly [OperationKind, number])[], random: Random): void {
    const kind = random.weighted(weights)
    const { context, coverage } = this.#simulation
    context.activity = kind
    coverage.add(`operation: ${kind}`)
    this.#dispatch(kind, random)
  }

  #dispatch(kind: OperationKind, random: Random): void {
    const client = random.pick(this.#session.clients)
    switch (kind) {
      case 'commit':
        return this.commit(client, random)
      case 'burst':
        return this.#burst(random)
      case 'step':
        return this.#step(random)
      case 'settle':
        this.#say('settle')
        return this.#session.settle()
      case 'read':
        return this.#reading(client, () => this.#read(client, random))
      case 'scan':
        return this.#reading(client, () => this.#scan(client))
      case 'slowRead':
        return this.#reading(client, () => this.#slowRead(client, random))
      case 'pin':
        return this.#reading(client, () => this.#pin(client))
      case 'readPinned':
        return this.#reading(client, () => this.#readPinned(client, random))
      case 'unpin':
        return this.#reading(client, () => this.#unpin(client, random))
      case 'checkpoint':
        return this.#checkpoint(random)
      case 'sync':
        this.#say('sync wanted')
        return this.#session.sync()
      case 'die':
        return this.#die(client, random)
      case 'pass time':
        return this.#passTime(random)
    }
  }

  #say(text: string): void {
    const { lines, operations } = this.#simulation
    lines?.push(`${operations - 1} ${text}`)
  }

  /** Draws a command and appends it, making room by steps of the engine where need be. */
  commit(client: SimulatedClient, random: Random): void {
    const { model, workload, coverage, lines } = this.#simulation
    if (model.uncertainCount >= UNCERTAIN_MAX) this.#session.settle()
    if (this.#session.isOver) return
    const command = workload.drawCommand(random, model.state)
    const appending = client.begin(command, random)
    this.#say(`${client.threadId} commits ${describe(command)}`)
    if (appending.records.length > 1) coverage.add('commands in parts')
    while (appending.frame === undefined) {
      this.#session.stepUntil('room in the ring', () => client.append(appending))
      if (this.#session.isOver) return
      if (appending.frame === undefined && random.chance(0.3)) this.#session.step()
    }
    lines?.push(`  at LSN ${appending.frame.lsn}`)
    model.announce({ command, ...appending.frame, threadId: client.threadId })
  }

  #burst(random: Random): void {
    const count = random.between(2, 8)
    for (let at = 0; at < count && !this.#session.isOver; at++) {
      this.commit(random.pick(this.#session.clients), random.fork(at))
    }
  }

  #step(random: Random): void {
    const count = random.between(1, 5)
    this.#say(`${count} steps`)
    for (let at = 0; at < count; at++) this.#session.step()
  }

  /** A read may fail with the disk; it changes nothing. Reads of one client come one after the other. */
  #reading(client: SimulatedClient, read: () => string | undefined): void {
    const { disk, coverage, lines } = this.#simulation
    const faultsBefore = disk.faultsHit
    let wrong: string | undefined
    try {
      wrong = client.endSlowRead() ?? read()
    } catch (error) {
      lines?.push(`  threw ${errorToPlain(error).message}`)
      if (disk.crashed !== undefined) return
      if (!(error instanceof LogIoError) || disk.faultsHit === faultsBefore) throw error
      coverage.add('a failed read of a client')
    }
    if (wrong !== undefined) throw new SimulationFailure(wrong)
  }

  #read(client: SimulatedClient, random: Random): string | undefined {
    const { model, workload } = this.#simulation
    const tree = workload.drawTree(random)
    const keys = drawKeys(random, (drawn) => workload.drawKey(drawn))
    this.#say(`${client.threadId} reads ${keys.length} keys of tree ${tree}`)
    return checkKeys(client.look(), model.state, tree, keys)
  }

  #scan(client: SimulatedClient): string | undefined {
    this.#say(`${client.threadId} reads everything`)
    const { model, geometry } = this.#simulation
    return checkState(client.look(), model.state, geometry.trees) ?? checkPages(client.look())
  }

  /** It is ended by the client's next read, or while the engine sleeps. */
  #slowRead(client: SimulatedClient, random: Random): undefined {
    const { model, geometry, workload } = this.#simulation
    const snapshot = random.chance(0.3) ? client.snapshots[0] : undefined
    const state = snapshot?.state ?? model.state.clone()
    const tree = workload.drawTree(random)
    const keys = [...(state.trees.get(tree)?.entries.keys() ?? [])]
    const key = keys.length > 0 ? keyOfText(random.pick(keys)) : workload.drawKey(random)
    this.#say(`${client.threadId} begins a slow read at ${state.sequence}`)
    try {
      client.beginSlowRead(snapshot, (look, bytes) => {
        const holds = holdValue(look, bytes, state, tree, key)
        return () => holds() ?? checkState(look, state, geometry.trees)
      })
    } catch (error) {
      if (!(error instanceof SnapshotExpiredError)) throw error
    }
  }

  #pin(client: SimulatedClient): undefined {
    if (client.snapshots.length >= SNAPSHOTS_MAX) return
    const { model, nowMs } = this.#simulation
    this.#say(`${client.threadId} takes a snapshot at ${model.state.sequence}`)
    client.pin(model.state, nowMs)
  }

  #readPinned(client: SimulatedClient, random: Random): string | undefined {
    if (client.snapshots.length === 0) return undefined
    const snapshot = random.pick(client.snapshots)
    this.#say(`${client.threadId} reads its snapshot at ${snapshot.state.sequence}`)
    try {
      return this.#checkSnapshot(client, snapshot, random)
    } catch (error) {
      if (!(error instanceof SnapshotExpiredError)) throw error
      this.#simulation.coverage.add('snapshot expired')
      const ageMs = this.#simulation.nowMs - snapshot.takenAtMs
      client.unpin(snapshot)
      const ageMaxMs = this.#session.settings.snapshotAgeMaxMs
      if (ageMs >= ageMaxMs) return undefined
      return `a snapshot of ${ageMs} ms was given up, though ${ageMaxMs} ms are its bound`
    }
  }

  #checkSnapshot(client: SimulatedClient, snapshot: Snapshot, random: Random): string | undefined {
    const { workload, geometry } = this.#simulation
    const look = client.look(snapshot)
    if (random.chance(0.5)) return checkState(look, snapshot.state, geometry.trees)
    const keys = drawKeys(random, (drawn) => workload.drawKey(drawn))
    return checkKeys(look, snapshot.state, workload.drawTree(random), keys)
  }

  #unpin(client: SimulatedClient, random: Random): undefined {
    if (client.snapshots.length === 0) return
    const snapshot = random.pick(client.snapshots)
    this.#say(`${client.threadId} gives up its snapshot at ${snapshot.state.sequence}`)
    client.unpin(snapshot)
  }

  #checkpoint(random: Random): void {
    this.#say('checkpoint wanted')
    const ticket = this.#session.wantCheckpoint()
    if (random.chance(0.4)) return
    this.#session.stepUntil('checkpoint', () => this.#session.control.isDone(ticket))
  }

  /** The thread ends wherever it is; another one takes its place. */
  #die(client: SimulatedClient, random: Random): void {
    const { model, coverage } = this.#simulation
    // What became of a command that the model cannot foretell, nobody else would know.
    if (model.uncertainCount > 0) this.#session.settle()
    if (this.#session.isOver) return
    const how = client.die(random, (drawn) =>
      this.#simulation.workload.drawCommand(drawn, model.state),
    )
    this.#say(`${client.threadId} dies ${how}`)
    coverage.add(`death: ${how}`)
    this.#session.lose(client)
    if (random.chance(0.5)) {
      const steps = random.between(1, 4)
      for (let at = 0; at < steps; at++) this.#session.step()
    }
    this.#session.reportDeaths()
    // The engine closes what the dead one held, and its place is free again.
    this.#session.step()
    this.#session.attachClient()
  }

  #passTime(random: Random): void {
    const ms = random.pick([1, 10, 100, 5_000])
    this.#say(`${ms} ms pass`)
    this.#simulation.nowMs += ms
  }
}

function describe(command: {
  operations: readonly { kind: string; tree: number }[]
  garbage: boolean
}): string {
  if (command.garbage) return 'garbage'
  const kinds = command.operations.map(({ kind, tree }) => `${kind} ${tree}`)
  return kinds.length <= 6
    ? kinds.join(', ')
    : `${kinds.slice(0, 5).join(', ')} and ${kinds.length - 5} more`
}
