import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({}, filters)

  const echo = (): void =>
    proxy.backend.respond(({ target, body }, connection) =>
      connection.write(response({ fields: [`X-Target: ${target}`], body: `${target}:${body}` })),
    )

  function mixed(count: number): string {
    const messages = Array.from({ length: count }, (_, i) => {
      const target = `/${i}`
      if (i % 3 === 0) return request({ target })
      if (i % 3 === 1) return request({ method: 'POST', target, body: `body ${i}` })
      return request({
        method: 'PUT',
        target,
        fields: ['Transfer-Encoding: chunked'],
        body: chunked(['body ', `${i}`]),
      })
    })
    return messages.join('')
  }

  const expected = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => (i % 3 === 0 ? `/${i}:` : `/${i}:body ${i}`))

  describe('requests sent without waiting', () => {
    test('are answered in order, each with its own answer', async () => {
      echo()
      const client = await proxy.connect()
      client.write(mixed(100))
      const bodies: string[] = []
      for (let i = 0; i < 100; i++) bodies.push((await client.response()).body.toString())
      expect(bodies).toEqual(expected(100))
    })

    test('in order although the backend answers each later one faster', async () => {
      proxy.backend.respond(({ target }, connection) => {
        let turns = 10 - Number(target.slice(1))
        const wait = (): void => {
          if (turns-- > 0) setImmediate(wait)
          else connection.write(response({ body: target }))
        }
        wait()
      })
      const client = await proxy.connect()
      client.write(Array.from({ length: 10 }, (_, i) => request({ target: `/${i}` })).join(''))
      for (let i = 0; i < 10; i++) expect((await client.response()).body.toString()).toBe(`/${i}`)
    })

    test('byte by byte are answered in order', async () => {
      echo()
      const client = await proxy.connect()
      await client.writeSlowly(mixed(6))
      const bodies: string[] = []
      for (let i = 0; i < 6; i++) bodies.push((await client.response()).body.toString())
      expect(bodies).toEqual(expected(6))
    })

    test('by the thousand are all answered', async () => {
      echo()
      const client = await proxy.connect()
      client.write(request({ target: '/x' }).repeat(3_000))
      await until('all are answered', () => client.responses.length === 3_000, { timeoutMs: 20_000 })
    })

    test('a bad one ends it: those before are answered, those behind are not seen', async () => {
      echo()
      const client = await proxy.connect()
      const bad = request({ target: '/bad', fields: ['Content-Length: x'] })
      client.write(request({ target: '/1' }) + request({ target: '/2' }) + bad + request({ target: '/3' }))
      expect((await client.response()).body.toString()).toBe('/1:')
      expect((await client.response()).body.toString()).toBe('/2:')
      expect((await client.response()).status).toBe(400)
      expect(await client.ended()).not.toBe('open')
      expect(proxy.backend.requests.map(({ target }) => target)).toEqual(['/1', '/2'])
    })

    test('Connection: close ends it: those behind are not seen', async () => {
      echo()
      const client = await proxy.connect()
      client.write(request({ target: '/1', fields: ['Connection: close'] }) + request({ target: '/2' }))
      expect((await client.response()).body.toString()).toBe('/1:')
      expect(await client.ended()).not.toBe('open')
      expect(client.responses).toHaveLength(1)
      expect(proxy.backend.requests.map(({ target }) => target)).toEqual(['/1'])
    })

    test('own answers keep their place', async () => {
      echo()
      const client = await proxy.connect()
      client.expect('GET')
      client.expect('HEAD')
      client.write(
        request({ target: '/1' }) +
          request({ method: 'HEAD', target: '/2' }) +
          request({ fields: ['Expect: magic'] }),
      )
      expect((await client.response()).body.toString()).toBe('/1:')
      expect((await client.response()).body).toHaveLength(0)
      expect((await client.response()).status).toBe(417)
    })
  })
})
