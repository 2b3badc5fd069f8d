/** Bytes that are no commands, and documents that are none, in a log whose checksums are right. */
import { expect, test } from 'vitest'
import { encodeId } from '../document/keys.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import { CATALOG_TREE, encodeLife, lifeKey } from './catalog-format.ts'
import { Changes } from './changes.ts'
import type { CommitSource, CommittedCommand } from './commit-source.ts'
import { ModelEngine } from './testing/model-engine.ts'

const TREE = 7

class OneCommand implements CommitSource {
  sequence = 1
  readonly #command: Uint8Array

  constructor(command: Uint8Array) {
    this.#command = command
  }

  next(): CommittedCommand | undefined {
    if (this.sequence > 1) return undefined
    this.sequence++
    const bytes = Buffer.from(this.#command)
    const place = { file: 'app.db-wal/1.seg', offset: 4176 }
    return { sequence: 2, timeMs: 0, bytes, start: 0, end: bytes.length, ...place }
  }

  more(): Promise<boolean> {
    return Promise.resolve(false)
  }

  stop(): void {
    this.sequence = 2
  }

  close(): void {
    this.stop()
  }
}

function commandOf(key: Uint8Array, value: Uint8Array): Buffer {
  const command = new CommandBuilder()
  command.put(TREE, key, value, 'absent')
  return command.finish(0)
}

async function outcomeOf(bytes: Uint8Array): Promise<unknown> {
  const engine = new ModelEngine()
  const catalog = new CommandBuilder()
  catalog.createTree(CATALOG_TREE, 1)
  catalog.put(CATALOG_TREE, lifeKey(1), encodeLife({ name: 'notes', tree: TREE }))
  await engine.commit(catalog)
  let ended = 0
  const changes = new Changes(new OneCommand(bytes), engine, {}, () => ended++)
  const outcome = await changes.next().catch((error: unknown) => error)
  await changes.return()
  expect(ended).toBe(1)
  return outcome
}

test('M9: a command that is none is named, with its place', async () => {
  const sound = commandOf(encodeId(1), Buffer.alloc(8))
  for (let length = 0; length < sound.length; length++) {
    expect(await outcomeOf(sound.subarray(0, length))).toMatchObject({
      code: 'RINGBOLT_CORRUPT',
      facts: { file: 'app.db-wal/1.seg', offset: 4176, what: 'commit 2', expected: 'a command' },
    })
  }
})

test('M9: a document that is none is named, with its collection', async () => {
  const documents = [Buffer.alloc(0), Buffer.alloc(8), Buffer.alloc(50, 0xff)]
  const keys = [encodeId(1), Buffer.alloc(0), Buffer.alloc(3, 0xff)]
  for (const document of documents) {
    for (const key of keys) {
      expect(await outcomeOf(commandOf(key, document))).toMatchObject({
        code: 'RINGBOLT_CORRUPT',
        facts: { offset: 4176, expected: 'a document of collection notes' },
      })
    }
  }
})
