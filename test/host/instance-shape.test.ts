import { describe, expect, test } from 'vitest'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { checkInstance } from '../../core/host/instance-shape.ts'

const check = (kind: PluginKind, instance: unknown): void =>
  checkInstance(kind, instance, (message) => new Error(message))

class Helper {
  onRequest() {}
  onResponce() {}
}

describe('an instance of the wrong shape is refused', () => {
  const cases: [what: string, kind: PluginKind, instance: unknown, message: RegExp][] = [
    ['nothing', 'filter', undefined, /^returned undefined; expected an object with "onRequest"/],
    ['null', 'filter', null, /^returned null/],
    ['a function', 'filter', () => {}, /^returned function/],
    ['a hook that is no function', 'filter', { onDone: 1 }, /whose "onDone" is no function/],
    [
      'a misspelt hook',
      'filter',
      { onReponse() {} },
      /"onReponse", which is no hook — did you mean "onResponse"\?/,
    ],
    ['a misspelt hook of a class', 'filter', new Helper(), /"onResponce", .*did you mean "onResponse"\?/],
    ['a hook of nobody', 'filter', { onBody() {} }, /"onBody", which is no hook; kind filter has/],
    ['no pick', 'algorithm', { update() {} }, /without "pick"; kind algorithm has "update", "pick"/],
    ['a misspelt update', 'algorithm', { updat() {}, pick() {} }, /without "update" \(but with "updat"\)/],
    ['a misspelt settled', 'algorithm', { update() {}, pick() {}, settle() {} }, /did you mean "settled"/],
    ['no for', 'circuit-breaker', {}, /without "for"/],
    [
      'half a store',
      'config-store',
      { get() {}, puts() {} },
      /without "lineage"; kind config-store has "lineage", "get"/,
    ],
    ['a misspelt announce', 'config-sync', { anounce() {} }, /did you mean "announce"/],
    ['no resign', 'election', { campaign() {} }, /without "resign"/],
    ['no acquire', 'lock', { aquire() {} }, /without "acquire" \(but with "aquire"\)/],
    ['no update', 'health-source', { start() {} }, /without "update"/],
  ]
  test.each(cases)('%s', (_what, kind, instance, message) => {
    expect(() => check(kind, instance)).toThrow(message)
  })
})

test('a filter needs no hook', () => {
  expect(() => check('filter', {})).not.toThrow()
})

test('helpers of its own are free, also when they resemble a member that is there', () => {
  const settled = { update() {}, pick() {}, picks() {}, set() {}, configure() {}, settled() {}, pickk: 1 }
  expect(() => check('algorithm', settled)).not.toThrow()
  expect(() => check('algorithm', { update() {}, pick() {}, set() {}, configure() {} })).not.toThrow()
})
