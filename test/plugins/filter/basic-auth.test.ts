import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Filter, FilterExchange, OwnResponse } from 'millrace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FieldList } from '../../../core/proxy/field-list.ts'
import { Gate } from '../../../plugins/lib/gate.ts'
import { matchesPassword, parsePassword } from '../../../plugins/lib/password.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue, fieldValues } from '../../harness/message-reader.ts'
import { until } from '../../harness/until.ts'
import { FakeTime, threadContext } from '../fake-context.ts'
import { filterOptions } from '../filter-options.ts'
import { builtin, filter, parsed } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

const { users } = filterOptions['basic-auth'] as { users: { ann: string } }
const basic = (text: string): string => `Authorization: Basic ${Buffer.from(text).toString('base64')}`
const right = basic('ann:secret')

const directory = mkdtempSync(path.join(tmpdir(), 'millrace-users-'))
const file = path.join(directory, 'users')
afterAll(() => rmSync(directory, { recursive: true }))

describe('over real sockets', () => {
  let served: Served
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    writeFileSync(file, `# people\n\nbob:${users.ann}\r\n`)
    served = await serve(cleanup, {
      plain: [{ use: 'basic-auth', users, realm: 'a "b"' }],
      told: [{ use: 'basic-auth', users, userHeader: 'X-User', forward: true }],
      file: [{ use: 'basic-auth', file }],
      beside: [{ use: 'basic-auth', file: path.relative(tmpdir(), file) }],
    })
  })
  freshBackend(() => served)

  test('the right password passes, and goes no further', async () => {
    for (const _ of [1, 2]) {
      const answer = await served.ask('plain', { fields: [right] })
      expect(answer.status).toBe(200)
    }
    expect(served.backend.requests.map((one) => fieldValue(one, 'authorization'))).toEqual([
      undefined,
      undefined,
    ])
  })

  test.each([
    ['nothing', []],
    ['a wrong password', [basic('ann:wrong')]],
    ['a user who is nobody', [basic('eve:secret')]],
    ['no colon', [basic('ann')]],
    ['another scheme', ['Authorization: Bearer abc']],
    ['no base64', ['Authorization: Basic ???']],
    ['an empty password', [basic('ann:')]],
    ['two fields', [right, right]],
    ['the name of a member of every object', [basic('__proto__:secret')]],
  ])('%s is a 401 with a challenge', async (_, fields) => {
    const answer = await served.ask('plain', { fields })
    expect(answer.status).toBe(401)
    expect(fieldValue(answer, 'www-authenticate')).toBe('Basic realm="a \\"b\\"", charset="UTF-8"')
    expect(served.backend.requests).toEqual([])
  })

  test('the backend is told the name, and not what the client says of it', async () => {
    await served.ask('told', { fields: [right, 'X-User: root', 'x-user: root'] })
    const [one] = served.backend.requests
    expect(fieldValues(one, 'x-user')).toEqual(['ann'])
    expect(fieldValue(one, 'authorization')).toBeDefined()
  })

  test('nor what the client says under a name that some backends take for the same', async () => {
    await served.ask('told', { fields: [right, 'X_User: root', 'x.user: root', 'X_Users: kept'] })
    const [one] = served.backend.requests
    const names = one.fields.map(([name]) => name.toLowerCase())
    expect(names.filter((name) => /^x.users?$/.test(name))).toEqual(['x_users', 'x-user'])
  })

  test('a relative path is one from the folder of the config', async () => {
    expect((await served.ask('beside', { fields: [basic('bob:secret')] })).status).toBe(200)
  })

  test('users of a file pass', async () => {
    expect((await served.ask('file', { fields: [basic('bob:secret')] })).status).toBe(200)
    expect((await served.ask('file', { fields: [right] })).status).toBe(401)
  })
})

function exchangeOf(field: string) {
  const headers = new FieldList(undefined, undefined)
  headers.append('Authorization', field.slice('Authorization: '.length))
  const answers: OwnResponse[] = []
  const exchange = { request: { headers }, respond: (answer: OwnResponse) => answers.push(answer) }
  return { exchange: exchange as unknown as FilterExchange, answers }
}

async function statusOf(instance: Filter, field: string): Promise<number> {
  const { exchange, answers } = exchangeOf(field)
  await instance.onRequest?.(exchange)
  return answers[0]?.status ?? 200
}

describe('a right password', () => {
  test('is computed once, then known without a promise, for five minutes', async () => {
    const time = new FakeTime()
    const plugin = builtin('filter', 'basic-auth')
    const context = threadContext({ clock: time.clock() })
    const instance: Filter = await plugin.create(context, parsed(plugin, { users }))
    const isAsync = (): boolean => instance.onRequest?.(exchangeOf(right).exchange) !== undefined
    expect(await statusOf(instance, right)).toBe(200)
    expect(isAsync()).toBe(false)
    time.advance(299_000)
    expect(isAsync()).toBe(false)
    time.advance(2000)
    expect(isAsync()).toBe(true)
  })

  test('is no longer one when the file changes; a file that is wrong changes nothing', async () => {
    const time = new FakeTime()
    const own = path.join(directory, 'changing')
    writeFileSync(own, `ann:${users.ann}`)
    const plugin = builtin('filter', 'basic-auth')
    const context = threadContext({ clock: time.clock() })
    const instance: Filter = await plugin.create(context, parsed(plugin, { file: own }))
    expect(await statusOf(instance, right)).toBe(200)
    writeFileSync(own, 'ann:secret-in-the-clear')
    time.advance(5000)
    expect(await statusOf(instance, right)).toBe(200)
    writeFileSync(own, `somebody-else:${users.ann}`)
    let status = 200
    await until('the file was read', () => {
      time.advance(5000)
      void statusOf(instance, right).then((now) => (status = now))
      return status === 401
    })
    expect(await statusOf(instance, basic('somebody-else:secret'))).toBe(200)
  })
})

test('too many that wait are turned away with 503', async () => {
  const instance = await filter('basic-auth', { users })
  const all = Array.from({ length: 100 }, (_, i) => statusOf(instance, basic(`ann:wrong-${i}`)))
  const statuses = await Promise.all(all)
  expect(statuses.filter((status) => status === 401)).toHaveLength(66)
  expect(statuses.filter((status) => status === 503)).toHaveLength(34)
  expect(await statusOf(instance, right)).toBe(200)
})

test('a gate lets the next one in when one fails', async () => {
  const gate = new Gate(1, 1)
  const failing = gate.run(() => Promise.reject(new Error('no')))
  const waiting = gate.run(async () => 'in')
  expect(await gate.run(async () => 'too many')).toBeUndefined()
  await expect(failing).rejects.toThrow('no')
  expect(await waiting).toBe('in')
  expect(await gate.run(async () => 'free')).toBe('free')
})

describe('hashes', () => {
  test.each([
    'secret',
    '$2y$05$abcdefghijklmnopqrstuv',
    '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
    users.ann.replace('ln=10', 'ln=9'),
    users.ann.replace('ln=10', 'ln=30'),
    users.ann.replace('p=1', 'p=99'),
    users.ann.slice(0, -30),
  ])('%s is refused when the config is read', async (text) => {
    await expect(filter('basic-auth', { users: { ann: text } })).rejects.toThrow(/scrypt/)
  })

  test('a file that holds anything else keeps the config from being used, and is not quoted', async () => {
    writeFileSync(file, `ann:${users.ann}\nbob:clear-text`)
    await expect(filter('basic-auth', { file })).rejects.toThrow(/^line 2 is not name:hash; .*docs/)
    await expect(filter('basic-auth', {})).rejects.toThrow(/expected `users`/)
  })

  test('are made by the command of the docs', async () => {
    const text = readFileSync(new URL('../../../docs/filters.md', import.meta.url), 'utf8')
    const [, script] = /^node -e '([^']+)' 'my password'$/m.exec(text)!
    const made = execFileSync(process.execPath, ['-e', script, 'my password'], { encoding: 'utf8' }).trim()
    const hash = parsePassword(made)!
    expect(await matchesPassword('my password', hash)).toBe(true)
    expect(await matchesPassword('my passwords', hash)).toBe(false)
  })
})
