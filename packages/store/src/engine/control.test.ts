/** What threads ask the sequencer for. */
import { AtomicsMemory } from '@ringbolt/ring'
import { expect, test } from 'vitest'
import { Control, controlBytes } from './control.ts'

/**
 * A commit was refused as busy, and its client asked for a backup at once, before the sequencer had come to the end of
 * the refusal: that called the new checkpoint done, too, and the backup waited for ever.
 */
test('M2 M3: a refusal is of the checkpoints that were wanted before it, not of those that come while it is told', () => {
  const control = new Control(new AtomicsMemory(new SharedArrayBuffer(controlBytes(1))))
  const { busyCount } = control
  const before = control.wantCheckpoint()
  const refused = control.setBusy({ holderPid: 7, waitedMs: 300, timeoutMs: 300 })
  expect(control.busyCount).toBe(busyCount + 1)
  const after = control.wantCheckpoint()
  control.checkpointDone(refused)
  expect([control.isDone(before), control.isDone(after)]).toEqual([true, false])
  expect(control.checkpointWanted).toBe(true)
  expect(control.busy).toMatchObject({ holderPid: 7, waitedMs: 300, holderSinceMs: null })
})
