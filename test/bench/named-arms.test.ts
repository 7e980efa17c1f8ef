import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { coreConfig } from '../../bench/arms/core.ts'
import { repository } from '../../bench/arms/millrace.ts'
import { chooseArms, namedArms, splitArms } from '../../bench/arms/named-arms.ts'
import { compareArms } from '../../bench/harness/compare-arms.ts'
import { scenarioArms } from '../../bench/harness/scenario-arms.ts'
import type { Block, Scenario } from '../../bench/report/bench-results.ts'
import { seededRandom } from '../../bench/stats/random.ts'
import { findSuite } from '../../bench/suites.ts'

const named = (...names: string[]) => namedArms(names, repository)

describe('an arm that is not there', () => {
  const everyArm =
    'direct, nginx, nginx-shipped, nginx-same-lines, haproxy, millrace, millrace-pipelined, core, floor, passthrough, ' +
    'http-proxy, reply-from, core+PLUGIN, config:FILE'

  test.each([
    ['ngnix', `unknown arm "ngnix" — did you mean "nginx"? there are ${everyArm}`],
    ['replyfrom', `unknown arm "replyfrom" — did you mean "reply-from"? there are ${everyArm}`],
    ['zzz', `unknown arm "zzz"; there are ${everyArm}`],
    ['core+eror-rate', 'unknown plugin "eror-rate" — did you mean "error-rate"?'],
    [
      'core+examples/primary-first/primary-first.ts',
      'did you mean "./examples/primary-first/primary-first.ts"?',
    ],
    ['core+./not-there.ts', './not-there.ts'],
    ['core+headers={"requst":{}}', 'headers: '],
    ['core+headers={"request"', 'its options are no JSON or YAML'],
    ['core+headers={}=x', 'its options are no JSON or YAML'],
    ['core+headers=./no.yaml', 'there is no file'],
    ['core+headers=./.ci/run', 'a mapping of options expected'],
    ['config:./no.yaml', 'there is no config'],
    ['config:./biome.json', 'services expected'],
  ])('%s is named', async (name, message) => {
    await expect(named('direct', name)).rejects.toThrow(message)
  })

  test('an unknown suite too', () => {
    expect(() => findSuite('shape')).toThrow(
      'unknown suite "shape" — did you mean "shapes"? there are quick, full, shapes',
    )
  })
})

describe('the arms of a run', () => {
  test('commas within options belong to the arm', () => {
    expect(splitArms('direct, core+a={"b":[1,2],"c":{"d":3}},nginx,')).toEqual([
      'direct',
      'core+a={"b":[1,2],"c":{"d":3}}',
      'nginx',
    ])
  })

  test('are those of the suite, or the listed ones; with a plugin comes core; each stands once', async () => {
    expect((await chooseArms(['direct', 'nginx'], {})).names).toEqual(['direct', 'nginx'])
    expect((await chooseArms(['nginx'], { list: 'core,direct' })).names).toEqual(['core', 'direct'])
    const { names, arms } = await chooseArms(['nginx'], { more: ['core+maglev', 'nginx'] })
    expect(names).toEqual(['nginx', 'core', 'core+maglev'])
    expect(arms.map((arm) => arm.name)).toEqual(['core+maglev'])
    await expect(chooseArms([], { list: ' , ' })).rejects.toThrow('names of arms expected')
  })

  test('without those that cannot do what the scenario needs', async () => {
    const { arms } = await named('core+maglev')
    const find = () => arms[0]
    const scenario = { title: 'T', shape: { tls: true } }
    expect(scenarioArms(scenario, ['direct', 'core+maglev'], find)).toEqual({
      able: ['core+maglev'],
      note: 'T: without direct, which cannot do it (TLS towards the client)',
    })
    expect(scenarioArms({ title: 'T' }, ['direct'], find)).toEqual({ able: ['direct'], note: undefined })
  })

  test('core with a plugin is compared with core, everything else with the usual', () => {
    const arms = ['nginx', 'core', 'core+x']
    const blocks = arms.flatMap((arm) =>
      [1, 2, 3].map((round) => ({ arm, round, scenario: 's', faults: [], values: { cpu: 10 + round } })),
    ) as unknown as Block[]
    const compared = compareArms([{ name: 's' } as Scenario], blocks, {
      ...{ arms, confidence: 0.99, random: seededRandom(1), baseline: undefined },
    })
    expect(compared.map(({ arm, baseline }) => [arm, baseline])).toEqual([
      ['core', 'nginx'],
      ['core+x', 'core'],
    ])
  })
})

describe('the config of core', () => {
  const addresses = { port: 1, adminPort: 2, backendPort: 3, data: '/data' }

  test('has no breaker, health source or filter', () => {
    const config = parse(coreConfig(addresses, 1, undefined))
    expect(config.filters).toEqual([])
    expect(config.services.backend).toMatchObject({ algorithm: 'round-robin', breaker: false, health: false })
  })

  test.each([
    ['algorithm', (config: Config) => config.services.backend.algorithm],
    ['circuit-breaker', (config: Config) => config.services.backend.breaker],
    ['health-source', (config: Config) => config.services.backend.health],
    ['filter', (config: Config) => config.filters[0]],
  ] as const)('has one %s when it is asked for', (kind, of) => {
    const use = { kind, name: 'own', module: '/own.ts', options: { a: 1 } }
    const config = parse(coreConfig(addresses, 1, use)) as Config
    expect(config.plugins).toEqual(['/own.ts'])
    expect(of(config)).toEqual({ use: 'own', a: 1 })
  })
})

interface Config {
  readonly plugins: unknown
  readonly filters: readonly unknown[]
  readonly services: { readonly backend: Readonly<Record<'algorithm' | 'breaker' | 'health', unknown>> }
}
