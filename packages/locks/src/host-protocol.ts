/**
 * What the threads of a process say to the one thread that hosts fs-ext and proper-lockfile.
 *
 * All threads can hear the common channel. A client says `hello` there, with a name nobody else has;
 * the host opens the channel of that name and says `welcome` on it; from then on the two talk alone.
 * The host says `ready` when it has started, which makes waiting clients say `hello` again, since a
 * BroadcastChannel keeps nothing for those who come later. `gone` is the main thread's word that the
 * host did not start (asking again may help) or has ended (`forGood`: there will be no other).
 */
import { BroadcastChannel } from 'node:worker_threads'
import type { PlainLockError } from './errors.ts'
import type { FileIdentity, OsThread } from './platform.ts'

export const COMMON_CHANNEL = 'ringbolt.locks.v1'

export function channelOf(client: string): string {
  return `${COMMON_CHANNEL}.${client}`
}

export type HostedMethod = 'flock' | 'lockfile'

export type CommonMessage =
  | {
      readonly kind: 'hello'
      readonly client: string
      readonly isMain: boolean
      readonly thread: OsThread | null
    }
  | { readonly kind: 'ready' }
  | { readonly kind: 'gone'; readonly forGood: boolean; readonly reason: string }

export interface OpenRequest {
  readonly op: 'open'
  readonly method: HostedMethod
  readonly claim: number
  readonly path: string
  readonly identity: FileIdentity
  readonly lockName: string
  readonly staleMs: number
}

export type Request =
  | { readonly op: 'load'; readonly method: HostedMethod }
  | OpenRequest
  | { readonly op: 'try'; readonly claim: number; readonly record: Uint8Array | null }
  | { readonly op: 'unlock' | 'probe' | 'close'; readonly claim: number }

export interface RequestMessage {
  readonly kind: 'request'
  readonly id: number
  readonly request: Request
}

export type HostMessage =
  | { readonly kind: 'welcome' }
  | { readonly kind: 'reply'; readonly id: number; readonly value: boolean }
  | { readonly kind: 'failure'; readonly id: number; readonly error: PlainLockError }
  | { readonly kind: 'lost'; readonly claim: number; readonly reason: string }

// The channels' names carry the protocol's version, and only this package's threads know them: the
// kind tells the rest.
function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
}

export function isCommonMessage(value: unknown): value is CommonMessage {
  const kind = kindOf(value)
  return kind === 'hello' || kind === 'ready' || kind === 'gone'
}

export function isRequestMessage(value: unknown): value is RequestMessage {
  return kindOf(value) === 'request'
}

export function isHostMessage(value: unknown): value is HostMessage {
  const kind = kindOf(value)
  return kind === 'welcome' || kind === 'reply' || kind === 'failure' || kind === 'lost'
}

/** Opens a channel and hands on what passes the guard. */
export function listen<Message>(
  name: string,
  guard: (value: unknown) => value is Message,
  onMessage: (message: Message) => void,
): BroadcastChannel {
  const channel = new BroadcastChannel(name)
  channel.onmessage = (event: unknown): void => {
    if (typeof event !== 'object' || event === null || !('data' in event)) return
    if (guard(event.data)) onMessage(event.data)
  }
  return channel
}
