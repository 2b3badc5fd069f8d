/** A command past all that keeps documents and indexes in step: durable, well-formed, wrong. */
import { Catalog } from '../../client/catalog.ts'
import type { CollectionEntry } from '../../client/catalog-format.ts'
import { CommandBuilder } from '../../sequencer/command.ts'
import { openOwner } from '../store-owner.ts'

/** The database is closed again in the end. @param fill gets the first collection as the catalog has it */
export async function commitPast(
  path: string,
  fill: (command: CommandBuilder, collection: CollectionEntry) => void,
): Promise<void> {
  const owner = await openOwner(path, {})
  const { engine } = owner.attachment
  const catalog = new Catalog({
    engine,
    environment: { nowMs: () => 0, random: () => 0, after: () => () => undefined, sleep() {} },
    blocking: false,
    assertOpen: () => undefined,
  })
  const [entry] = catalog.collections(engine.latest)
  const command = new CommandBuilder()
  fill(command, entry!)
  const refusal = await engine.commit(command)
  await owner.close()
  if (refusal !== undefined) throw new Error(`refused: ${refusal.reason}`)
}
