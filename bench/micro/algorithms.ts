/** A pick of every built-in algorithm, over the number of backends, with what a pick brings with it: one more exchange in
 * flight there, and one less where the exchange before the last 64 went. */
import type { Algorithm, PluginDefinition } from 'millrace'
import { builtins } from '../../plugins/manifest.ts'
import { parsed } from '../fixtures/builtin.ts'
import { seeded, threadContext } from '../fixtures/context.ts'
import { numbered } from '../fixtures/view.ts'
import { inputs, type MicroCase, type Running } from './case.ts'
import { PickInput, TableView } from './stand-ins.ts'

type Definition = PluginDefinition<'algorithm'>

/** Numbers of backends that a pick is measured with. */
export const sizes = [2, 10, 100, 1000, 10_000]
const targetSize = 1000
const targetNs = { plain: 150, table: 300 }
/** Looks at every backend, as its doc comment says: no target for so many of them. */
const linear = 'rendezvous'

/** Backends of three weights, with the plugin's table where it builds one. */
export function serviceOf(plugin: Pick<Definition, 'buildTable'>, size: number, options: unknown): TableView {
  const backends = numbered(size, (index) => 1 + (index % 3))
  return new TableView(backends, backends, plugin.buildTable?.(backends, options))
}

/** @param algorithm has been given the view */
export function picking(algorithm: Algorithm, { all, own }: TableView): Running {
  // Each has answered once: who goes by latency knows something.
  for (const backend of all) algorithm.settled?.(backend, 'success', 1 + (backend.slot % 7))
  const request = new PickInput(seeded(7))
  const flights = new Int32Array(inputs)
  own[0] = inputs
  return {
    run(index) {
      request.at = index
      const { slot } = algorithm.pick(request)!
      const at = index & (inputs - 1)
      own[flights[at]]--
      own[slot]++
      flights[at] = slot
      return slot
    },
  }
}

async function prepare(plugin: Definition, size: number): Promise<Running> {
  const options = parsed(plugin, {})
  const algorithm = await plugin.create(threadContext(), options)
  const view = serviceOf(plugin, size, options)
  algorithm.update(view)
  return picking(algorithm, view)
}

export const algorithms: readonly MicroCase[] = builtins
  .filter((plugin) => plugin.kind === 'algorithm')
  .flatMap((plugin) =>
    sizes.map((size) => ({
      group: 'algorithms' as const,
      subject: plugin.name,
      name: 'pick',
      size,
      targetNs:
        size === targetSize && plugin.name !== linear
          ? targetNs[plugin.buildTable ? 'table' : 'plain']
          : undefined,
      prepare: () => prepare(plugin as unknown as Definition, size),
    })),
  )
