/** A permit and its settlement with every built-in circuit breaker, for 64 backends in turn. */
import type { BreakerGate, Outcome, PluginDefinition } from 'millrace'
import { builtins } from '../../plugins/manifest.ts'
import { seeded, threadContext } from '../../test/plugins/fake-context.ts'
import { numbered } from '../../test/plugins/fake-view.ts'
import { parsed } from '../../test/plugins/make.ts'
import { inputs, type MicroCase, type Running } from './case.ts'
import { timerless } from './stand-ins.ts'

type Definition = PluginDefinition<'circuit-breaker'>

/** Failures that open any breaker with its defaults. */
const enough = 100
const threads = 4

async function gates(plugin: Definition): Promise<BreakerGate[]> {
  const breaker = await plugin.create(threadContext({ clock: timerless, threads }), parsed(plugin, {}))
  return numbered(inputs).map((backend) => breaker.for(backend, () => {}))
}

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
async function mixed(plugin: Definition): Promise<Running> {
  const random = seeded(11)
  const offsets = Uint8Array.from({ length: inputs }, () => Math.floor(random() * 4))
  const failed = (index: number): boolean => (((index >>> 6) + offsets[index & (inputs - 1)]) & 3) === 0
  return settling(await gates(plugin), (index) => (failed(index) ? 'failure' : 'success'))
}

async function open(plugin: Definition): Promise<Running> {
  const all = await gates(plugin)
  for (const gate of all)
    for (let failures = 0; failures < enough; failures++) gate.settle(gate.tryAcquire(), 'failure', 1)
  return { run: (index) => all[index & (inputs - 1)].tryAcquire() }
}

const ways: readonly [name: string, prepare: (plugin: Definition) => Promise<Running>][] = [
  ['success', async (plugin) => settling(await gates(plugin), () => 'success')],
  ['one failure in four', mixed],
  ['open, refused', open],
]

export const breakers: readonly MicroCase[] = builtins
  .filter((plugin) => plugin.kind === 'circuit-breaker')
  .flatMap((plugin) =>
    ways.map(([name, prepare]) => ({
      group: 'breakers' as const,
      subject: plugin.name,
      name,
      prepare: () => prepare(plugin as unknown as Definition),
    })),
  )
