/** The overrides leave nothing behind: a change that is still being written when they stop starts no timer. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Log } from '../../core/contracts/plugin.ts'
import type { PlacedService } from '../../core/proxy/thread-snapshot.ts'
import { Overrides } from '../../core/threads/overrides.ts'

test('stopping waits for the file and leaves no timer', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-overrides-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const timers = new Set<object>()
  const silent = (): void => {}
  const log = { debug: silent, info: silent, warn: silent, error: silent } as unknown as Log
  const service = {
    config: { name: 'shop', backends: [{ url: 'http://127.0.0.1:1' }] },
    placement: { slots: [0], index: 0 },
  } as unknown as PlacedService
  const overrides = new Overrides({
    directory,
    table: { forced: new Int32Array(1), drained: new Int32Array(1), epoch: new Int32Array(1) },
    clock: {
      wall: () => 1_000,
      after: () => {
        const timer = { cancel: () => void timers.delete(timer) }
        timers.add(timer)
        return timer
      },
    },
    log,
    services: () => [service],
  })
  const change = overrides.set({
    ...{ service: 'shop', mode: 'open', reason: 'a test', actor: 'me', lastsMs: 5_000 },
  })
  await overrides.stop()
  await change
  expect(JSON.parse(readFileSync(join(directory, 'overrides.json'), 'utf8')).revision).toBe(1)
  expect(timers.size).toBe(0)
})
