// The placeholders in these strings are the config's own syntax.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: see above
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig, readPluginSources } from '#core/config/load'
import { type CertificateAuthority, createCertificateAuthority } from '../harness/certificates.ts'
import { load, places, problemsIn, problemsOf, web } from './load-text.ts'

let directory = ''
let authority: CertificateAuthority

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-config-'))
  authority = createCertificateAuthority()
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
  authority.dispose()
})

const write = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

describe('the file itself', () => {
  test('is read from its path, and watched', async () => {
    const path = write('plain.yaml', web)
    const { files, bootstrap } = await loadConfig({ path }, { env: {} })
    expect(files).toEqual([path])
    expect(bootstrap.node.data).toBe(join(directory, '.millrace'))
    expect(bootstrap.node.threads).toBeGreaterThan(0)
  })

  test('that is missing or a folder is one clear problem', async () => {
    const [missing] = await problemsIn(loadConfig({ path: join(directory, 'none.yaml') }, { env: {} }))
    expect(missing).toMatchObject({
      code: 'MR_CONFIG_READ',
      message: 'there is no such file',
      line: 0,
      frame: '',
    })
    const [folder] = await problemsIn(loadConfig({ path: directory }, { env: {} }))
    expect(folder).toMatchObject({ code: 'MR_CONFIG_READ', message: 'this is a folder' })
  })

  test('may be TypeScript, and is read anew when it has changed', async () => {
    write('ports.ts', 'export const port: number = 1001\n')
    const path = write(
      'lb.config.ts',
      "import { port } from './ports.ts'\nexport default { listeners: { web: { address: '127.0.0.1:' + port } }, fleet: '${FLEET}' }\n",
    )
    const read = async () => await loadConfig({ path }, { env: { FLEET: 'west' } })
    const first = await read()
    expect(first.snapshot.listeners[0].port).toBe(1001)
    expect(first.bootstrap.fleet).toBe('west')
    write('lb.config.ts', 'export default { listeners: { web: { address: "127.0.0.1:1002" } } }\n')
    expect((await read()).snapshot.listeners[0].port).toBe(1002)
  })

  test('that is TypeScript has its problems named by path', async () => {
    const path = write('wrong.config.ts', 'export default { listeners: {}, fleeet: "a" }\n')
    const [problem] = await problemsIn(loadConfig({ path }, { env: {} }))
    expect(problem).toMatchObject({ code: 'MR_CONFIG_UNKNOWN_KEY', path: 'fleeet', line: 0, frame: '' })
    expect(problem.suggestion).toBe('did you mean "fleet"?')
  })

  test.each([
    ['throws', 'throw new Error("no luck")\n', 'no luck'],
    ['exports nothing', 'export const a = 1\n', 'no default export'],
    ['is no TypeScript', 'export default {\n', 'cannot be imported'],
  ])('that is TypeScript and %s is one problem', async (name, text, message) => {
    const path = write(`${name.replaceAll(' ', '-')}.config.ts`, text)
    const [problem] = await problemsIn(loadConfig({ path }, { env: {} }))
    expect(problem.code).toBe('MR_CONFIG_READ')
    expect(problem.message).toContain(message)
  })
})

describe('PEM files', () => {
  const listener = (tls: string) => `listeners: { web: { address: "127.0.0.1:0", tls: ${tls} } }\n`

  test('are read beside the config and watched; the first certificate is the default', async () => {
    const [a, b] = [authority.server(['a.test']), authority.server(['b.test'])]
    const tls = `{ cert: ${a.certFile}, key: ${a.keyFile}, serverNames: [A.test], minVersion: TLSv1.3, certificates: [{ cert: ${b.certFile}, key: ${b.keyFile} }] }`
    const { snapshot, files } = await load(listener(tls))
    expect(snapshot.listeners[0].tls).toEqual({
      minVersion: 'TLSv1.3',
      certificates: [
        { ...a, serverNames: ['a.test'] },
        { ...b, serverNames: [] },
      ],
    })
    expect(files).toEqual([a.certFile, a.keyFile, b.certFile, b.keyFile])
  })

  test('may stand in the config as text, also from the environment', async () => {
    const { cert, key } = authority.server(['a.test'])
    const env = { KEY: key, CERT: cert }
    const { snapshot, files } = await load(listener('{ cert: "${CERT}", key: "${KEY}" }'), { env })
    expect(snapshot.listeners[0].tls?.certificates[0]).toMatchObject({ cert, key, certFile: '', keyFile: '' })
    expect(files).toEqual([])
  })

  test('of a service are roots and a client certificate', async () => {
    const { cert, key, certFile, keyFile } = authority.client('lb')
    const text = `${web}services: { a: { backends: ["https://a"], tls: { verify: false, ca: ${authority.caFile}, serverName: x, cert: ${certFile}, key: ${keyFile} } } }\n`
    const { snapshot, files } = await load(text)
    expect(snapshot.services.a.tls).toEqual({ verify: false, ca: authority.ca, serverName: 'x', cert, key })
    expect(files).toContain(authority.caFile)
  })

  test('that are wrong are problems where they are named', async () => {
    const [a, b] = [authority.server(['a.test']), authority.server(['b.test'])]
    const text = `listeners:
  gone: { address: "a:1", tls: { cert: gone.pem, key: ${a.keyFile} } }
  mixed: { address: "a:2", tls: { cert: ${a.certFile}, key: ${b.keyFile} } }
  swapped: { address: "a:3", tls: { cert: ${a.keyFile}, key: ${a.certFile} } }
  half: { address: "a:4", tls: { cert: ${a.certFile} } }
  none: { address: "a:5", tls: {} }
`
    const problems = await problemsOf(text, { directory })
    expect(problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'MR_CONFIG_FILE listeners.gone.tls.cert',
      'MR_CONFIG_FILE listeners.mixed.tls.key',
      'MR_CONFIG_FILE listeners.swapped.tls.cert',
      'MR_CONFIG_FILE listeners.swapped.tls.key',
      'MR_CONFIG_INVALID listeners.half.tls.cert',
      'MR_CONFIG_INVALID listeners.none.tls',
    ])
    expect(problems[0].message).toBe('the certificate file "gone.pem" cannot be read (ENOENT)')
    expect(JSON.stringify(problems)).not.toContain('BEGIN')
  })
})

describe('plugins', () => {
  const sources = (text: string) =>
    readPluginSources({ text, name: 'lb.yaml', directory }, { env: { P: 'mine' } })

  test('are paths beside the config, or packages to resolve from there', async () => {
    const location = write('mine.ts', '')
    expect(await sources('plugins: ["./${P}.ts", "@acme/jwt"]\n')).toEqual([
      { specifier: './mine.ts', kind: 'path', location },
      { specifier: '@acme/jwt', kind: 'package', location: pathToFileURL(`${directory}/`).href },
    ])
  })

  test('can be read while the rest is still wrong', async () => {
    expect(await sources('nonsense: 1\n')).toEqual([])
  })

  test('that are wrong are reported with everything else that is wrong', async () => {
    write('mine.ts', '')
    const text = 'plugins:\n  - ./gone.ts\n  - mine.ts\n  - ./mine.ts\n  - ./mine.ts\nfleeet: a\n'
    const problems = await problemsIn(sources(text))
    expect(places(problems)).toEqual([
      'MR_CONFIG_INVALID 1:1 listeners',
      'MR_CONFIG_FILE 2:5 plugins[0]',
      'MR_CONFIG_INVALID 3:5 plugins[1]',
      'MR_CONFIG_DUPLICATE 5:5 plugins[3]',
      'MR_CONFIG_UNKNOWN_KEY 6:1 fleeet',
    ])
    expect(problems[2].suggestion).toBe('did you mean "./mine.ts"?')
  })
})
