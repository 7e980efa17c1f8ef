import { describe, expect, test } from 'vitest'
import { load, problemsOf, web } from './load-text.ts'

describe('balancing', () => {
  const balanced = (settings: string, node = '') =>
    `${web}${node}services: { shop: { backends: [{ url: "http://127.0.0.1:9003", zone: eu-a, priority: 2 }], ${settings} } }\nroutes: [{ service: shop }]\n`

  test('load bound, slow start, zones and priorities', async () => {
    const { bootstrap, snapshot, warnings } = await load(
      balanced(
        'loadBound: 1.25, slowStart: { window: 1m, aggression: 2, minimum: 5% }, zonePreference: false',
        'node: { zone: eu-a }\n',
      ),
    )
    expect(snapshot.services.shop).toMatchObject({
      loadBound: 1.25,
      slowStart: { windowMs: 60_000, aggression: 2, minimum: 0.05 },
      zonePreference: false,
      backends: [{ zone: 'eu-a', priority: 2 }],
    })
    expect([bootstrap.node.zone, warnings]).toEqual(['eu-a', []])
  })

  test('a duration is a slow start; off is no bound', async () => {
    const { snapshot } = await load(balanced('loadBound: off, slowStart: 45s'))
    expect(snapshot.services.shop).toMatchObject({
      loadBound: 0,
      slowStart: { windowMs: 45_000, aggression: 1, minimum: 0.1 },
    })
  })

  test.each([
    ['loadBound: 1', /loadBound.*factor over 1 such as 1.25/s],
    ['loadBound: 125%', /loadBound.*factor over 1 such as 1.25/s],
    ['slowStart: 30', /slowStart.*duration such as 30s/s],
    ['slowstart: 30s', /did you mean "slowStart"/],
    ['slowStart: { window: 30s, agression: 2 }', /did you mean "aggression"/],
    ['zonePreference: eu-a', /zonePreference/],
  ])('%s is refused', async (settings, message) => {
    const [problem, ...others] = await problemsOf(balanced(settings))
    expect(`${problem.path}: ${problem.message} ${problem.suggestion}`).toMatch(message)
    expect(others).toEqual([])
  })

  test('a zone that no backend has is a warning with the one that was meant', async () => {
    const { warnings } = await load(balanced('key: path', 'node: { zone: eu-b }\n'))
    expect(warnings).toMatchObject([{ path: 'node.zone', suggestion: 'did you mean "eu-a"?' }])
  })
})
