/** A permit and its settlement with every built-in circuit breaker, for 64 backends in turn. */
import type { BreakerGate, CircuitBreaker, Outcome, PluginDefinition } from 'millrace'
import { builtins } from '../../plugins/manifest.ts'
import { parsed } from '../fixtures/builtin.ts'
import { seeded, threadContext } from '../fixtures/context.ts'
import { numbered } from '../fixtures/view.ts'
import { inputs, type MicroCase, type Running } from './case.ts'
import { timerless } from './stand-ins.ts'

type Definition = PluginDefinition<'circuit-breaker'>

/** Failures that open any breaker with its defaults. */
const enough = 100
const most = 2000
const threads = 4

/** What is done with the gates of {@link inputs} backends. */
export type GateWay = (gates: readonly BreakerGate[]) => Running

function settling(all: readonly BreakerGate[], outcome: (index: number) => Outcome): Running {
  return {
    run(index) {
      const gate = all[index & (inputs - 1)]
      const token = gate.tryAcquire()
      gate.settle(token, outcome(index), 1)
      return token
    },
  }
}

/** One failure in four of each backend, never two in a row, so that all stay closed; which is next looks random. */
function mixed(all: readonly BreakerGate[]): Running {
  const random = seeded(11)
  const offsets = Uint8Array.from({ length: inputs }, () => Math.floor(random() * 4))
  const failed = (index: number): boolean => (((index >>> 6) + offsets[index & (inputs - 1)]) & 3) === 0
  return settling(all, (index) => (failed(index) ? 'failure' : 'success'))
}

/** @throws when the breaker lets everything through in spite of so many failures */
function open(all: readonly BreakerGate[]): Running {
  for (const gate of all) {
    for (let failures = 0; failures < enough; failures++) {
      const token = gate.tryAcquire()
      if (token > 0) gate.settle(token, 'failure', 1)
    }
    // One that only limits how many are in flight refuses when it is full.
    let taken = 0
    while (gate.tryAcquire() > 0) {
      if (++taken > most)
        throw new Error(`it refuses nothing after ${enough} failures, with ${most} in flight`)
    }
  }
  return { run: (index) => all[index & (inputs - 1)].tryAcquire() }
}

export const gateWays: readonly (readonly [name: string, way: GateWay])[] = [
  ['success', (all) => settling(all, () => 'success')],
  ['one failure in four', mixed],
  ['open or full, refused', open],
]

export function gatesOf(breaker: CircuitBreaker): BreakerGate[] {
  return numbered(inputs).map((backend) => breaker.for(backend, () => {}))
}

async function prepare(plugin: Definition, way: GateWay): Promise<Running> {
  const breaker = await plugin.create(threadContext({ clock: timerless, threads }), parsed(plugin, {}))
  return way(gatesOf(breaker))
}

export const breakers: readonly MicroCase[] = builtins
  .filter((plugin) => plugin.kind === 'circuit-breaker')
  .flatMap((plugin) =>
    gateWays.map(([name, way]) => ({
      group: 'breakers' as const,
      subject: plugin.name,
      name,
      prepare: () => prepare(plugin as unknown as Definition, way),
    })),
  )
