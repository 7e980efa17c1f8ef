/** Tests of kind `health-source`, with real backends that answer as they are told. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { HealthTarget } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import type { Made, Stage } from './stage.ts'
import { until } from './time.ts'

export interface HealthFixture {
  /**
   * `http` (default): asks the backends by HTTP and reports each result. `tcp`: only whether they take a connection. `set`:
   * knows it from elsewhere and tells it with `context.set`.
   */
  readonly learns: 'http' | 'tcp' | 'set'
}

type Scene = Stage<'health-source'>

/** A backend on a free port. */
interface Site {
  readonly target: HealthTarget
  /** What it does with the next connections. */
  mode: 'up' | 'down' | 'silent'
  /** What it has answered, in order. */
  readonly answers: boolean[]
}

function targetAt(port: number): HealthTarget {
  const url = `http://127.0.0.1:${port}`
  return { url, weight: 1, zone: '', tags: [], id: `test/${url}`, service: 'test', tls: undefined }
}

/** `down` breaks the connection off, which no probe takes for health. */
async function site(stage: Scene, mode: Site['mode'] = 'up', flaps = false): Promise<Site> {
  const answers: boolean[] = []
  const server = http.createServer((_request, response) => {
    const up = made.mode === 'up' && !(flaps && answers.length % 2 === 1)
    answers.push(up)
    if (up) response.end('ok')
    else if (made.mode !== 'silent') response.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stage.defer(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const made: Site = { mode, answers, target: targetAt((server.address() as AddressInfo).port) }
  return made
}

/** A port that nobody listens on. */
async function nobody(): Promise<HealthTarget> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return targetAt(port)
}

const resultsOf = (made: Made<'health-source'>, { id }: HealthTarget): boolean[] =>
  made.told.flatMap((told) =>
    (told.call === 'report' || told.call === 'set') && told.id === id ? [told.result.up] : [],
  )

const make = (stage: Scene): Promise<Made<'health-source'>> => stage.make()

export const exerciseHealth: Exercise<'health-source'> = {
  async use(stage, made) {
    const backend = await stage.aside(() => site(stage))
    made.instance.update([backend.target])
    await until('a first result', () => resultsOf(made, backend.target).length > 0)
  },
}

export const healthCases: readonly Case<'health-source'>[] = [
  {
    name: 'tells of every target that it is given, and of no other',
    async run(stage) {
      const made = await make(stage)
      const targets = [(await site(stage)).target, (await site(stage)).target, (await site(stage)).target]
      made.instance.update(targets.slice(0, 2))
      await until('results of both', () =>
        targets.slice(0, 2).every((each) => resultsOf(made, each).length > 0),
      )
      made.instance.update(targets.slice(1))
      await until('results of the new one', () => resultsOf(made, targets[2]).length > 0)
      const known = new Set(targets.map(({ id }) => id))
      for (const told of made.told) if ('id' in told) assert(known.has(told.id), `told of ${told.id}`)
    },
  },
  {
    name: 'takes an empty list, and the same list again',
    async run(stage) {
      const made = await make(stage)
      const { target } = await site(stage)
      made.instance.update([])
      made.instance.update([target])
      made.instance.update([{ ...target }])
      await until('a result', () => resultsOf(made, target).length > 0)
      made.instance.update([])
    },
  },
]

export const reachCases: readonly Case<'health-source'>[] = [
  {
    name: 'a target that cannot be reached is down, with a reason, and does not hold the others up',
    async run(stage) {
      const made = await make(stage)
      const gone = await nobody()
      const backend = await site(stage)
      made.instance.update([gone, backend.target])
      await until('three results of each', () =>
        [gone, backend.target].every((each) => resultsOf(made, each).length >= 3),
      )
      assert(
        resultsOf(made, gone).every((up) => !up),
        'unreachable, but reported up',
      )
      assert(
        resultsOf(made, backend.target).every((up) => up),
        'reachable, but reported down',
      )
      for (const told of made.told)
        if (told.call === 'report' && !told.result.up) assert(told.result.reason, 'down without a reason')
    },
  },
]

export const httpCases: readonly Case<'health-source'>[] = [
  {
    name: 'reports raw results: what flaps is reported flapping, as rise and fall are the core’s',
    async run(stage) {
      const made = await make(stage)
      const backend = await site(stage, 'up', true)
      made.instance.update([backend.target])
      await until('ten results', () => resultsOf(made, backend.target).length >= 10)
      const results = resultsOf(made, backend.target).slice(0, 10)
      assert.deepEqual(results, backend.answers.slice(0, results.length))
      assert(
        !made.told.some(({ call }) => call === 'set'),
        'a probe used context.set, which passes rise and fall by',
      )
    },
  },
  {
    name: 'a target that takes the connection and says nothing is down when its time is over, and found when it mends',
    async run(stage) {
      const made = await make(stage)
      const backend = await site(stage, 'silent')
      made.instance.update([backend.target])
      await until('a result', () => resultsOf(made, backend.target).includes(false))
      backend.mode = 'up'
      await until('up again', () => resultsOf(made, backend.target).at(-1) === true)
      backend.mode = 'down'
      await until('down again', () => resultsOf(made, backend.target).at(-1) === false)
    },
  },
]

export const setCases: readonly Case<'health-source'>[] = [
  {
    name: 'sets what it knows, and reports nothing as if it had probed',
    async run(stage) {
      const made = await make(stage)
      const backend = await site(stage)
      made.instance.update([backend.target])
      await until('a result', () => resultsOf(made, backend.target).length > 0)
      assert(made.told.every(({ call }) => call === 'set'))
      assert.deepEqual(backend.answers, [], 'asked the backend')
    },
  },
]
