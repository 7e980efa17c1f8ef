/** What is measured of a plugin, by its kind: hooks that run for every request, and what an algorithm does at a change. */
import type { Algorithm, CircuitBreaker, Filter, PluginDefinition } from 'millrace'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { parseOptions } from '../../core/host/options.ts'
import { picking, serviceOf, sizes } from '../micro/algorithms.ts'
import { gatesOf, gateWays } from '../micro/breakers.ts'
import { inputs, type Running } from '../micro/case.ts'
import { filterCases } from './filter-cases.ts'
import { fieldLines, type PluginRequests } from './requests.ts'

/** Makes a fresh instance, as the host would. */
export type MakeInstance = () => Promise<unknown>

/** A hook that is ready. */
export interface RunningHook extends Running {
  /** After the calls: what the reader of the figure must know. */
  note?(): string | undefined
}

export interface HookCase {
  readonly name: string
  /** Called for every request; the others at changes of the service. */
  readonly hot: boolean
  /** Calls in a sample; 1: it is awaited. */
  readonly calls?: number
  /** What the loop around the hook does, without the hook; taken off the figures. */
  readonly empty?: Running
  /** @throws what the plugin throws, or what is wrong with its answer */
  prepare(): RunningHook | Promise<RunningHook>
}

type Definition = PluginDefinition<'algorithm'>

/** Empty for kinds that no request waits for. */
export async function hookCases(
  kind: PluginKind,
  definition: Pick<PluginDefinition, 'name' | 'options' | 'buildTable'>,
  { options, requests }: { readonly options: unknown; readonly requests: PluginRequests },
  make: MakeInstance,
): Promise<readonly HookCase[]> {
  switch (kind) {
    case 'algorithm':
      return algorithmCases(
        definition as unknown as Definition,
        options,
        make as () => Promise<Algorithm>,
        (await make()) as Algorithm,
      )
    case 'circuit-breaker':
      return breakerCases(make as () => Promise<CircuitBreaker>)
    case 'filter':
      return filterCases((await make()) as Filter, make as () => Promise<Filter>, fieldLines(requests))
    default:
      return []
  }
}

/** Where what happens at a change, or after a pick, is measured. */
const changeSize = 1000

function algorithmCases(
  plugin: Definition,
  options: unknown,
  make: () => Promise<Algorithm>,
  probe: Algorithm,
): HookCase[] {
  const own = parseOptions(plugin, options)
  const updated = async (size: number) => {
    const algorithm = await make()
    const view = serviceOf(plugin, size, own)
    algorithm.update(view)
    return { algorithm, view }
  }
  const picks = sizes.map((size): HookCase => {
    const prepare = async (): Promise<Running> => {
      const { algorithm, view } = await updated(size)
      const running = picking(algorithm, view)
      checkPick(algorithm, size)
      return running
    }
    return { name: `pick, ${size.toLocaleString('en')} backends`, hot: true, prepare }
  })
  const settled: HookCase = {
    name: `settled, ${changeSize.toLocaleString('en')} backends`,
    hot: true,
    async prepare() {
      const { algorithm, view } = await updated(changeSize)
      const { all } = view
      return { run: (index) => algorithm.settled?.(all[index % changeSize], 'success', 1) }
    },
  }
  const changes: HookCase = {
    name: `update, ${changeSize.toLocaleString('en')} backends`,
    hot: false,
    calls: 1,
    async prepare() {
      const { algorithm, view } = await updated(changeSize)
      return { run: () => algorithm.update(view) }
    },
  }
  const table: HookCase = {
    name: `buildTable, ${changeSize.toLocaleString('en')} backends`,
    hot: false,
    calls: 1,
    prepare: () => ({ run: () => serviceOf(plugin, changeSize, own) }),
  }
  return [...picks, ...(probe.settled ? [settled] : []), changes, ...(plugin.buildTable ? [table] : [])]
}

/** The loop reads the backend's slot: without one it would stop with words that help nobody. */
function checkPick(algorithm: Algorithm, size: number): void {
  const request = { hash: 1, excluded: () => false }
  for (let pick = 0; pick < inputs; pick++) {
    if (algorithm.pick(request) !== undefined) continue
    throw new Error(`pick returned undefined although ${size} backends are available`)
  }
}

function breakerCases(make: () => Promise<CircuitBreaker>): HookCase[] {
  return gateWays.map(([name, way]) => ({
    name: `tryAcquire, settle: ${name}`,
    hot: true,
    prepare: async () => way(gatesOf(await make())),
  }))
}
