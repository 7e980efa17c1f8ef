/** The open-loop driver as the harness sees it: one process for a whole run, one block after the other. */
import { fileURLToPath } from 'node:url'
import type { Channel, Started } from '../arms/processes.ts'
import type { DriverAnswer } from '../load/driver-messages.ts'
import type { OpenLoopOptions, OpenLoopResult } from '../load/open-loop.ts'
import { ownModule } from '../own-module.ts'
import type { LoadHost } from './measure-block.ts'

const script = fileURLToPath(ownModule('../load/open-loop-driver', import.meta.url))
/** Beyond the time that its work takes. */
const graceMs = 15_000

export interface DriverStart {
  /** Of its own, so that the first block finds its code optimised; none in tests of everything else. */
  readonly warmupSeconds: number
}

export class OpenLoopDriver {
  readonly #started: Started
  readonly #channel: Channel
  #id = 0

  private constructor(started: Started, channel: Channel) {
    this.#started = started
    this.#channel = channel
  }

  /** Resolves when it is warm. Rejects, with its own words, when it ends or stays silent. */
  static async start(
    host: Pick<LoadHost, 'processes' | 'cores'>,
    { warmupSeconds }: DriverStart,
  ): Promise<OpenLoopDriver> {
    const command = [process.execPath, script, String(warmupSeconds)]
    const started = host.processes.start('open-loop', command, { cores: host.cores, ipc: true })
    if (started.channel === undefined) throw new Error('open-loop: started without a channel')
    const driver = new OpenLoopDriver(started, started.channel)
    await driver.#wait<true>(warmupSeconds * 1000 + graceMs, (answer) =>
      answer.kind === 'ready' ? true : undefined,
    )
    return driver
  }

  get pid(): number {
    return this.#started.pid
  }

  /**
   * Measures one block; one at a time.
   * @param grace milliseconds that an answer may take beyond the block's own time
   * @throws when the driver refuses, ends, or says nothing in time; after the latter it has been ended
   */
  run(options: OpenLoopOptions, grace = graceMs): Promise<OpenLoopResult> {
    const id = ++this.#id
    const workMs = (options.warmupSeconds + options.seconds) * 1000 + options.patienceMs
    const result = this.#wait(workMs + grace, (answer) => {
      if (answer.kind === 'ready' || answer.id !== id) return undefined
      if (answer.kind === 'error') throw new Error(`the open-loop driver: ${answer.message}`)
      return answer.result
    })
    this.#channel.send({ id, options })
    return result
  }

  stop(): Promise<void> {
    return this.#started.stop()
  }

  /** Until `take` makes something of an answer or throws. */
  #wait<T>(limitMs: number, take: (answer: DriverAnswer) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`the open-loop driver gave no answer in time:\n${this.#started.output()}`))
        void this.#started.stop()
      }, limitMs)
      void this.#started.exited.then((code) => {
        clearTimeout(timer)
        reject(new Error(`the open-loop driver ended (${code}):\n${this.#started.output()}`))
      })
      this.#channel.listen((message) => {
        try {
          const taken = take(message as DriverAnswer)
          if (taken === undefined) return
          clearTimeout(timer)
          resolve(taken)
        } catch (error) {
          clearTimeout(timer)
          reject(error)
        }
      })
    })
  }
}
