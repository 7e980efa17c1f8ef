/** The arms of a scenario, running side by side on one core: those that are not measured are idle. */
import type { Arm, ArmContext, RunningArm } from '../arms/arm.ts'
import type { Processes, Started } from '../arms/processes.ts'

export interface ArmPoolParts extends Pick<ArmContext, 'backendHosts' | 'tls' | 'headers'> {
  readonly processes: Processes
  readonly random: () => number
  readonly directory: string
  readonly arms: readonly Arm[]
  readonly backend: {
    readonly port: number
    readonly started: Started
    readonly accepted?: () => Promise<number>
  }
  readonly millraceCommand: readonly string[]
}

export class ArmPool {
  readonly #parts: ArmPoolParts
  readonly #running = new Map<string, RunningArm>()

  constructor(parts: ArmPoolParts) {
    this.#parts = parts
  }

  /** The running arm; started anew when `fresh`. */
  async take(name: string, fresh: boolean): Promise<RunningArm> {
    const there = this.#running.get(name)
    if (there !== undefined && !fresh) return there
    if (there !== undefined && name !== 'direct') await there.started.stop()
    const running = await this.#start(name)
    this.#running.set(name, running)
    return running
  }

  async #start(name: string): Promise<RunningArm> {
    const { processes, random, directory, backend, millraceCommand, arms, backendHosts, tls, headers } =
      this.#parts
    const { accepted } = backend
    if (name === 'direct') {
      const { started, port } = backend
      return { started, port, adminPort: undefined, setBackends: undefined, accepted }
    }
    const arm = arms.find((one) => one.name === name)
    if (arm === undefined) throw new Error(`no arm "${name}"`)
    const running = await arm.start({
      ...{ processes: processes.probed(), random, directory, millraceCommand, backendPort: backend.port },
      ...{ cores: '0', threads: 1, pipelining: 1, backendHosts, tls, headers },
    })
    return { ...running, accepted }
  }

  async stop(): Promise<void> {
    const all = [...this.#running].filter(([name]) => name !== 'direct')
    this.#running.clear()
    await Promise.all(all.map(([, running]) => running.started.stop()))
  }
}
