/** Starts the backend that takes its time, and asks it how much it took. */
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { acceptedCounter } from '../arms/accepted.ts'
import type { DelayOptions } from '../arms/delay-backend.ts'
import type { Processes, Started } from '../arms/processes.ts'
import { freePort, waitUntilReady } from '../arms/ready.ts'
import { ownModule } from '../own-module.ts'
import type { Quantiles } from '../stats/quantiles.ts'

const script = fileURLToPath(ownModule('../arms/delay-backend', import.meta.url))

export interface DelayBackend {
  readonly port: number
  readonly started: Started
  /** What it recorded since the last call, milliseconds. */
  recorded(): Promise<Quantiles>
  /** Connections it has accepted so far, without those that asked for this. */
  accepted(): Promise<number>
}

export async function startDelayBackend(
  processes: Processes,
  cores: string,
  random: () => number,
  options: Omit<DelayOptions, 'port'>,
): Promise<DelayBackend> {
  const port = await freePort(random)
  const command = [process.execPath, script, JSON.stringify({ ...options, port })]
  const started = processes.start('delay-backend', command, { cores })
  const url = `http://127.0.0.1:${port}/-/delays`
  await waitUntilReady(started, url)
  return {
    port,
    started,
    accepted: acceptedCounter(`http://127.0.0.1:${port}/-/accepted`, Number),
    async recorded() {
      const { body } = await request(url)
      return (await body.json()) as Quantiles
    },
  }
}
