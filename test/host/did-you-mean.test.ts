import { describe, expect, test } from 'vitest'
import { closest, didYouMean } from '../../core/host/did-you-mean.ts'

const names = ['round-robin', 'least-connections', 'random', 'ring-hash', 'maglev']

describe('what was probably meant', () => {
  const cases: [word: string, candidates: string[], meant: string | undefined][] = [
    ['rond-robin', names, 'round-robin'],
    ['roundRobin', names, 'round-robin'],
    ['ROUND_ROBIN', names, 'round-robin'],
    ['wieght', ['weight', 'height'], 'weight'],
    ['adress', ['address', 'admin'], 'address'],
    ['hots', ['host', 'path'], 'host'],
    ['least', names, 'least-connections'],
    ['ra', names, undefined],
    ['breaker', ['algorithm', 'circuit-breaker', 'filter'], 'circuit-breaker'],
    ['robin', ['round-robin', 'weighted-round-robin'], undefined],
    ['xyzzy', names, undefined],
    ['path', ['host', 'method'], undefined],
    ['r', names, undefined],
    ['', names, undefined],
    ['random', ['random'], undefined],
    ['onReponse', ['onRequest', 'onResponse'], 'onResponse'],
  ]
  test.each(cases)('%s', (word, candidates, meant) => {
    expect(closest(word, candidates)).toBe(meant)
  })
})

test('a stricter number of slips also rules out a mere beginning', () => {
  expect(closest('set', ['settled'], 1)).toBeUndefined()
  expect(closest('settle', ['settled'], 1)).toBe('settled')
})

test('the hint is a piece of a sentence, or nothing', () => {
  expect(didYouMean('rond-robin', names)).toBe(' — did you mean "round-robin"?')
  expect(didYouMean('xyzzy', names)).toBe('')
})
