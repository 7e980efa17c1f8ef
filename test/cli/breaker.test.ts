import { expect, test } from 'vitest'
import { startBackend } from '../examples/example.ts'
import { callCli } from './call-cli.ts'
import { folderWith, type RunResult, runCli, startCli } from './run-cli.ts'

/** @param cli how the command is run: as a process of its own, or inside of this one */
async function running(cli: typeof callCli = callCli) {
  const [one, two] = await Promise.all([startBackend('one'), startBackend('two')])
  const urls = [one, two].map(({ port }) => `http://127.0.0.1:${port}`)
  const directory = folderWith({
    'lb.yaml': `
node: { threads: 1 }
listeners: { web: { address: "127.0.0.1:0" } }
admin: { address: "127.0.0.1:0" }
routes: [{ service: shop }]
services: { shop: { backends: ${JSON.stringify(urls)} } }\n`,
  })
  const lb = startCli(['up', '-c', 'lb.yaml'], { directory })
  const [, url] = await lb.waitFor(/web +(http:\S+)/)
  const [, admin] = await lb.waitFor(/admin +(http:\S+)/)
  const breaker = (...args: string[]): Promise<RunResult> =>
    cli(['breaker', ...args, '--url', admin], { directory, env: { USER: 'ann' } })
  const words = async (): Promise<string[]> => {
    const answers: string[] = []
    for (let tries = 0; tries < 6; tries++) answers.push(await (await fetch(url)).text())
    return [...new Set(answers)].sort()
  }
  return { breaker, words, urls, directory }
}

test('trip keeps requests from a backend, with reason and actor; reset lets them come back', async () => {
  const { breaker, words, urls } = await running(runCli)
  const { out } = await breaker('show')
  expect(out).toMatch(/^SERVICE +BACKEND +IN FORCE +BY +UNTIL +BREAKER SAYS +REASON$/m)
  expect(out).toMatch(new RegExp(`^shop +${urls[0]} +closed +the breaker +- +closed +-$`, 'm'))
  const tripped = await breaker('trip', 'shop', urls[0], '--reason', 'its disk is full')
  expect(tripped).toMatchObject({ status: 0, err: '' })
  expect(tripped.out).toMatch(
    new RegExp(`^shop +${urls[0]} +open +ann +reset +closed +its disk is full$`, 'm'),
  )
  expect(tripped.out).not.toContain(urls[1])
  expect(await words()).toEqual(['two'])
  expect((await breaker('reset', 'shop', urls[0])).out).toMatch(/closed +the breaker +- +closed +-$/m)
  expect(await words()).toEqual(['one', 'two'])
})

test('close and trip are for the whole service without a backend, and for a while', async () => {
  const { breaker, urls } = await running()
  const { out } = await breaker('close', 'shop', '--reason', 'a test', '--actor', 'bob', '--for', '10m')
  const held = / closed +bob \(whole service\) +(\d\S+) +closed +a test/
  expect(out.match(new RegExp(held, 'g'))).toHaveLength(2)
  const until = Date.parse(held.exec(out)?.[1] ?? '')
  expect(until).toBeGreaterThan(Date.now())
  expect(until).toBeLessThan(Date.now() + 601_000)
  // One for a backend comes before one for its service.
  await breaker('trip', 'shop', urls[1], '--reason', 'broken')
  const shown = (await breaker('show', 'shop')).out
  expect(shown).toMatch(new RegExp(`${urls[0]} +closed +bob \\(whole service\\)`))
  expect(shown).toMatch(new RegExp(`${urls[1]} +open +ann +reset +closed +broken$`, 'm'))
  expect((await breaker('reset', 'shop')).out.match(/closed +the breaker +- +closed +-$/gm)).toHaveLength(2)
})

test('what holds for a whole service is not ended for one backend: it is said, and what to do instead', async () => {
  const { breaker, words, urls } = await running()
  await breaker('trip', 'shop', '--reason', 'incident 7')
  const reset = await breaker('reset', 'shop', urls[0])
  expect(reset).toMatchObject({ status: 1, out: '' })
  expect(reset.err).toMatch(
    /MR_OVERRIDE nothing was decided about \S+ alone: .*held open by ann \(incident 7\)/,
  )
  const [, command] = /\((?:millrace )(breaker close [^)]*)\)/.exec(reset.err) ?? []
  expect(command).toBe(`breaker close shop ${urls[0]} --reason …`)
  // As it says.
  await breaker('close', 'shop', urls[0], '--reason', 'it is well')
  expect(await words()).toEqual(['one'])
  // Its own decision is ended, and that of the service is in force again.
  expect((await breaker('reset', 'shop', urls[0])).out).toMatch(/ open +ann \(whole service\) +reset/)
  expect((await breaker('reset', 'shop')).status).toBe(0)
})

test('another listener than the admin one is not taken for it', async () => {
  const { port } = await startBackend('one')
  const { status, err } = await callCli(['breaker', 'show', '--url', `http://127.0.0.1:${port}`])
  expect(status).toBe(1)
  expect(err).toMatch(/MR_NETWORK what is at http:\S+ is not the admin listener of an LB server: .*with 200/)
})

test('what cannot be decided is told as the admin listener says it', async () => {
  const { breaker, urls } = await running()
  expect(await breaker('trip', 'shpo', '--reason', 'x')).toMatchObject({
    status: 1,
    err: expect.stringMatching(/MR_SERVICE_UNKNOWN .*shpo.*shop/),
  })
  expect(await breaker('trip', 'shop', 'http://nobody', '--reason', 'x')).toMatchObject({
    status: 1,
    err: expect.stringMatching(new RegExp(`MR_OVERRIDE .*http://nobody.*${urls[0]}`)),
  })
  expect(await breaker('trip', 'shop', '--reason', 'x', '--for', 'soon')).toMatchObject({
    status: 1,
    err: expect.stringMatching(/MR_OVERRIDE[\s\S]*for: /),
  })
  expect(await breaker('trip', 'shop')).toMatchObject({ status: 2, err: expect.stringContaining('--reason') })
  expect(await breaker('show', 'shop', 'http://nobody')).toMatchObject({
    status: 2,
    err: expect.stringContaining(urls[0]),
  })
})

test('the admin listener is the one of the config; nobody there is said so', async () => {
  const config = (admin: string): string => `
listeners: { web: { address: "127.0.0.1:0" } }
admin: ${admin}
routes: [{ service: shop }]
services: { shop: { backends: ["http://127.0.0.1:9001"] } }\n`
  const directory = folderWith({
    // Port 9 of the loopback: discard, which nobody serves.
    'millrace.yaml': config('{ address: "0.0.0.0:9" }'),
    'none.yaml': config('false'),
    'any.yaml': config('{ address: "127.0.0.1:0" }'),
    'wrong.yaml': config('{ adress: "127.0.0.1:0" }'),
  })
  const show = (...args: string[]): Promise<RunResult> => callCli(['breaker', 'show', ...args], { directory })
  expect(await show()).toMatchObject({
    status: 1,
    err: expect.stringMatching(/MR_NETWORK .*http:\/\/127\.0\.0\.1:9 does not answer/),
  })
  for (const [file, words] of [
    ['none.yaml', 'has no admin listener'],
    ['any.yaml', '--url'],
    ['wrong.yaml', '--url'],
  ])
    expect(await show('-c', file)).toMatchObject({ status: 2, err: expect.stringContaining(words) })
  expect(await show('--url', '127.0.0.1:9901')).toMatchObject({ status: 2 })
})

test('--url with a password in it, or more than a base, is refused; the password is not repeated', async () => {
  const show = (url: string): Promise<RunResult> => callCli(['breaker', 'show', '--url', url])
  const withPassword = await show('http://ann:hunter2@127.0.0.1:9')
  expect(withPassword).toMatchObject({ status: 2, err: expect.stringContaining('no name and password') })
  expect(withPassword.out + withPassword.err).not.toContain('hunter2')
  expect(await show('http://127.0.0.1:9/?a=b')).toMatchObject({
    status: 2,
    err: expect.stringContaining('expected a URL such as'),
  })
})
