/** The ring alone against `postMessage`: the same bytes from so many threads to one consumer. */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { createRing } from '@ringbolt/ring'
import { PHASE_MEASURE, Phases } from './phases.ts'
import { startThread } from './threads.ts'
import type { Channel, TransferResult, TransferWork } from './transfer-work.ts'

export type Transport =
  | { readonly kind: 'ring'; readonly capacityBytes: number }
  | { readonly kind: 'post-message'; readonly recordsPerMessage: number }

export interface TransferSetting {
  readonly transport: Transport
  readonly producers: number
  readonly recordBytes: number
  readonly records: number
}

interface Ends {
  readonly consumer: Channel
  readonly producers: readonly Channel[]
}

function openEnds(transport: Transport, producers: number): Ends {
  if (transport.kind === 'ring') {
    const { capacityBytes } = transport
    const ring = createRing({ capacityBytes })
    const channel: Channel = { kind: 'ring', ring }
    return { consumer: channel, producers: Array.from({ length: producers }, () => channel) }
  }
  const { recordsPerMessage } = transport
  const pairs = Array.from({ length: producers }, () => new MessageChannel())
  const channelOf = (ports: readonly MessagePort[]): Channel => ({
    kind: 'post-message',
    ports,
    recordsPerMessage,
  })
  return {
    consumer: channelOf(pairs.map(({ port1 }) => port1)),
    producers: pairs.map(({ port2 }) => channelOf([port2])),
  }
}

/** Records a second, from the start of all threads until the consumer has the last record. */
export async function measureTransfer(setting: TransferSetting): Promise<number> {
  const { transport, producers, recordBytes } = setting
  const phases = new Phases()
  const batch = transport.kind === 'ring' ? 1 : transport.recordsPerMessage
  const each = Math.ceil(setting.records / producers / batch) * batch
  const records = each * producers
  const ends = openEnds(transport, producers)
  const common = { recordBytes, phases: phases.shared }
  const work: TransferWork[] = [
    { ...common, role: 'consumer', channel: ends.consumer, records },
    ...ends.producers.map(
      (channel): TransferWork => ({ ...common, role: 'producer', channel, records: each }),
    ),
  ]
  const threads = work.map((one) => {
    const ports = one.channel.kind === 'ring' ? [] : one.channel.ports
    const file = new URL('./transfer-thread.js', import.meta.url)
    return startThread<TransferResult>(file, one, ports)
  })
  await Promise.all(threads.map(({ ready }) => ready))
  const startedAtMs = performance.timeOrigin + performance.now()
  phases.enter(PHASE_MEASURE)
  const [received] = await Promise.all(threads.map(({ result }) => result))
  await Promise.all(threads.map(({ ended }) => ended))
  if (received === undefined || received.bytes !== records * recordBytes) {
    throw new Error(`received ${received?.bytes} of ${records * recordBytes} bytes`)
  }
  return (records / (received.finishedAtMs - startedAtMs)) * 1000
}
