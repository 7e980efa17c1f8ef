/** The config as a whole: read, written on top of a revision, compared, taken back. */
import { describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Api, apiOf, config } from './harness.ts'

const cleanup = untilFileEnds()
const fresh = (): Promise<Api> => apiOf()
let shared: Promise<Api> | undefined
/** One API for the tests that only read. */
const written = (): Promise<Api> => {
  shared ??= apiOf({ cleanup }).then(async (api) => {
    await api.put(config(), 'the first')
    await api.put(config(['http://127.0.0.1:9003']), 'the second')
    return api
  })
  return shared
}

describe('reading', () => {
  test('JSON, and YAML where Accept says so, with the revision as ETag', async () => {
    const api = await written()
    const head = await api.store.get('config')
    const etag = `"2-${head?.revision.id}"`
    const json = await api.ask('GET', '/v1/config')
    expect(json).toMatchObject({ status: 200, body: config(['http://127.0.0.1:9003']) })
    expect(json.headers.get('etag')).toBe(etag)
    const yaml = await api.ask('GET', '/v1/config', { headers: { accept: 'application/yaml' } })
    expect(yaml.headers.get('content-type')).toBe('application/yaml; charset=utf-8')
    expect(yaml.body).toContain('routes:\n  - service: shop\n')
    expect(yaml.headers.get('etag')).toBe(etag)
    const known = await api.ask('GET', '/v1/config', { headers: { 'if-none-match': etag } })
    expect(known).toMatchObject({ status: 304, body: '' })
  })

  test('an earlier revision, and one that is not there', async () => {
    const api = await written()
    expect(await api.ask('GET', '/v1/config?revision=1')).toMatchObject({ status: 200, body: config() })
    expect(await api.ask('GET', '/v1/config?revision=9')).toMatchObject({
      status: 404,
      body: { code: 'MR_NOT_FOUND', path: 'query.revision', message: expect.stringContaining('1 to 2') },
    })
  })

  test('history: who, when, why, the newest first', async () => {
    const api = await written()
    const { body } = await api.ask('GET', '/v1/config/history')
    expect(body.revisions).toMatchObject([
      { revision: 2, by: 'admin', message: 'the second', removed: false },
      { revision: 1, by: 'admin', message: 'the first' },
    ])
    expect(body.revisions[0].parent).toBe(body.revisions[1].id)
    expect(Date.parse(body.revisions[0].at)).toBeGreaterThan(0)
    const { body: older } = await api.ask('GET', '/v1/config/history?before=2&limit=5')
    expect(older.revisions.map(({ revision }: { revision: number }) => revision)).toEqual([1])
  })

  test('the difference of two revisions', async () => {
    const api = await written()
    const { body } = await api.ask('GET', '/v1/config/diff')
    expect(body).toMatchObject({ from: { revision: 1 }, to: { revision: 2 } })
    expect(body.diff).toContain('-      - http://127.0.0.1:9001\n')
    expect(body.diff).toContain('+      - http://127.0.0.1:9003')
    const { body: first } = await api.ask('GET', '/v1/config/diff?to=1')
    expect(first.from).toBeUndefined()
    expect(first.diff).toContain('+routes:')
    expect((await api.ask('GET', '/v1/config/diff?from=2&to=2')).body.diff).toBe('')
    expect(await api.ask('GET', '/v1/config/diff?from=7')).toMatchObject({
      status: 404,
      body: { path: 'query.from' },
    })
  })

  test('nothing was ever written: 404 that says what to do', async () => {
    const api = await fresh()
    expect(await api.ask('GET', '/v1/config')).toMatchObject({
      status: 404,
      body: { code: 'MR_NOT_FOUND', hint: expect.stringContaining('If-None-Match: *') },
    })
    expect((await api.ask('GET', '/v1/config/history')).body).toEqual({ revisions: [] })
  })
})

test('secrets are for those who may write them: read and operate see them hidden, also in differences', async () => {
  const api = await fresh()
  const filters = [{ use: 'headers', request: { set: { authorization: 'hunter2' } } }]
  const service = { ...config().services.shop, filters }
  await api.put({ ...config(), services: { shop: service } })
  for (const path of ['/v1/config', '/v1/config/diff', '/v1/services', '/v1/services/shop'])
    for (const who of ['read', 'operate'] as const) {
      const answer = await api.ask('GET', path, { who })
      expect(answer.status).toBe(200)
      expect(JSON.stringify(answer.body)).not.toContain('hunter2')
    }
  const hidden = await api.ask('GET', '/v1/config', { who: 'read' })
  expect(hidden.headers.get('millrace-redacted')).toBe('true')
  const open = await api.ask('GET', '/v1/config')
  expect(open.headers.get('millrace-redacted')).toBeNull()
  expect(JSON.stringify(open.body)).toContain('hunter2')
})

describe('writing', () => {
  test('the first with If-None-Match: *, then on top of the ETag, in YAML or JSON', async () => {
    const api = await fresh()
    const first = await api.ask('PUT', '/v1/config', { body: config(), headers: { 'if-none-match': '*' } })
    expect(first).toMatchObject({
      status: 200,
      body: { document: 'config', revision: 1, before: 0, changed: true },
    })
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toBe(`"1-${first.body.id}"`)
    const yaml = 'routes: [{ service: shop }]\nservices:\n  shop: { backends: ["http://127.0.0.1:9009"] }\n'
    const second = await api.ask('PUT', '/v1/config?message=less', {
      body: yaml,
      headers: { 'if-match': etag },
    })
    expect(second).toMatchObject({ status: 200, body: { revision: 2, before: 1 } })
    expect(await api.config()).toEqual({
      routes: [{ service: 'shop' }],
      services: { shop: { backends: ['http://127.0.0.1:9009'] } },
    })
    expect((await api.store.get('config'))?.note).toMatchObject({ by: 'admin', message: 'less', schema: 1 })
  })

  test('what is there already is not written again', async () => {
    const api = await fresh()
    await api.put(config())
    expect((await api.put(config())).body).toMatchObject({ revision: 1, before: 1, changed: false })
    expect(await api.revision()).toBe(1)
  })

  test('text in YAML is what it says: nothing is expanded, and what was read can be written back', async () => {
    const api = await fresh()
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of config files
    const filters = [{ use: 'headers', request: { set: { 'x-a': '${HOME} $${HOME}' } } }]
    await api.put({ ...config(), filters })
    const yaml = await api.ask('GET', '/v1/config', { headers: { accept: 'application/yaml' } })
    const back = await api.ask('PUT', '/v1/config', { body: yaml.body, headers: { 'if-match': '"1"' } })
    expect(back.body).toMatchObject({ changed: false })
  })

  test('an empty config is valid', async () => {
    const api = await fresh()
    expect((await api.put({})).body).toMatchObject({ revision: 1, changed: true })
  })

  test('without a precondition: 428; without the one that is right: 412, which says who has written in between', async () => {
    const api = await fresh()
    expect(await api.ask('PUT', '/v1/config', { body: config() })).toMatchObject({
      status: 428,
      body: { code: 'MR_REVISION_NEEDED', path: 'headers.if-match' },
    })
    await api.put(config(), 'mine')
    const etag = (await api.ask('GET', '/v1/config')).headers.get('etag') ?? ''
    await api.put(config([]), 'nobody is left')
    const stale = await api.ask('PUT', '/v1/config', { body: config(), headers: { 'if-match': etag } })
    expect(stale).toMatchObject({
      status: 412,
      body: {
        code: 'MR_REVISION_STALE',
        path: 'headers.if-match',
        message: expect.stringMatching(
          /began from revision 1, .*revision 2 by admin at \d{4}-.*: nobody is left/,
        ),
        between: [{ revision: 2, by: 'admin', message: 'nobody is left' }],
      },
    })
    for (const [name, value] of [
      ['if-none-match', '*'],
      ['if-match', '"2-0123456789"'],
      ['if-match', '"3"'],
    ] as const) {
      const answer = await api.ask('PUT', '/v1/config', { body: config(), headers: { [name]: value } })
      expect(answer).toMatchObject({ status: 412, body: { code: 'MR_REVISION_STALE' } })
    }
    expect(await api.revision()).toBe(2)
    const any = await api.ask('PUT', '/v1/config', { body: config(), headers: { 'if-match': '*' } })
    expect(any.status).toBe(200)
  })

  test('a revision of a store that holds none is stale too', async () => {
    const api = await fresh()
    const answer = await api.ask('PUT', '/v1/config', { body: config(), headers: { 'if-match': '"1"' } })
    expect(answer).toMatchObject({ status: 412, body: { hint: expect.stringContaining('If-None-Match') } })
  })

  test('rollback appends what an earlier revision held', async () => {
    const api = await fresh()
    await api.put(config())
    await api.put(config([]))
    const back = await api.ask('POST', '/v1/config/rollback', { body: { revision: 1 } })
    expect(back).toMatchObject({ status: 200, body: { revision: 3, before: 2, changed: true } })
    expect(await api.config()).toEqual(config())
    expect((await api.store.get('config'))?.note.message).toBe('rollback to revision 1')
    expect(await api.ask('POST', '/v1/config/rollback', { body: { revision: 9 } })).toMatchObject({
      status: 404,
      body: { path: 'revision' },
    })
    const stale = await api.ask('POST', '/v1/config/rollback', {
      body: { revision: 1 },
      headers: { 'if-match': '"2"' },
    })
    expect(stale.status).toBe(412)
  })

  test('of many writers on top of one revision one wins, and each of the others is told', async () => {
    const api = await fresh()
    await api.put(config())
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        api.ask('PUT', '/v1/config', {
          body: config([`http://127.0.0.1:${9100 + n}`]),
          headers: { 'if-match': '"1"' },
        }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)])
    expect(await api.revision()).toBe(2)
  })
})
