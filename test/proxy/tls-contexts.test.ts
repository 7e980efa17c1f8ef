import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect as connectPlain } from 'node:net'
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { CertificateConfig } from '#core/config/snapshot'
import { MillraceError } from '#core/host/errors'
import { type TlsConfig, TlsContexts, TlsTermination } from '#core/proxy/tls-contexts'
import { type Certificate, createCertificateAuthority } from '../harness/certificates.ts'

const authority = createCertificateAuthority()
afterAll(() => authority.dispose())

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

const ticketKeys = randomBytes(48)
const config = (certificate: Certificate, ...serverNames: string[]): CertificateConfig => ({
  ...certificate,
  serverNames,
})
const tls = (...certificates: CertificateConfig[]): TlsConfig => ({ certificates, minVersion: 'TLSv1.2' })

async function listen(termination: TlsTermination): Promise<{ server: Server; port: number }> {
  const server = createServer(termination.options, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => socket.write(chunk))
  })
  termination.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return { server, port: (server.address() as AddressInfo).port }
}

async function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: authority.ca,
    checkServerIdentity: () => undefined,
    ...options,
  })
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

async function echo(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text)
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}

/** Names of the certificate that a client asking for `servername` is given. */
async function served(port: number, servername?: string): Promise<string> {
  const socket = await open(port, servername === undefined ? {} : { servername })
  const { subjectaltname } = socket.getPeerCertificate()
  socket.destroy()
  return subjectaltname ?? ''
}

describe('server names', () => {
  const first = authority.server(['first.test'])
  const exact = authority.server(['a.shop.test'])
  const wildcard = authority.server(['*.shop.test', 'shop.test'])
  const named = authority.server(['named.test'])

  test('choose by exact name, then wildcard of one label, then the first certificate', async () => {
    const contexts = TlsContexts.build(
      'web',
      tls(config(first), config(exact), config(wildcard), config(named, 'other.test')),
    )
    const { port } = await listen(new TlsTermination(contexts, ticketKeys, 5000))
    expect(await served(port, 'a.shop.test')).toContain('a.shop.test')
    expect(await served(port, 'A.Shop.Test')).toContain('a.shop.test')
    expect(await served(port, 'b.shop.test')).toContain('*.shop.test')
    expect(await served(port, 'shop.test')).toContain('*.shop.test')
    expect(await served(port, 'x.b.shop.test')).toContain('first.test')
    expect(await served(port, 'unknown.test')).toContain('first.test')
    expect(await served(port)).toContain('first.test')
    // Configured names replace those of the certificate.
    expect(await served(port, 'other.test')).toContain('named.test')
    expect(await served(port, 'named.test')).toContain('first.test')
  })
})

test('offers http/1.1 alone, and nothing older than the configured version', async () => {
  const certificate = config(authority.server(['first.test']))
  const contexts = TlsContexts.build('web', { certificates: [certificate], minVersion: 'TLSv1.3' })
  const { port } = await listen(new TlsTermination(contexts, ticketKeys, 5000))
  const socket = await open(port, { ALPNProtocols: ['h2', 'http/1.1'], servername: 'first.test' })
  expect(socket.alpnProtocol).toBe('http/1.1')
  expect(socket.getProtocol()).toBe('TLSv1.3')
  await expect(open(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/)
})

test('new certificates are served without a restart, with and without SNI; open connections live on', async () => {
  const before = TlsContexts.build('web', tls(config(authority.server(['site.test', 'before.test']))))
  const termination = new TlsTermination(before, ticketKeys, 5000)
  const { port } = await listen(termination)
  const old = await open(port, { servername: 'site.test' })
  expect(await served(port)).toContain('before.test')
  termination.replace(
    TlsContexts.build('web', tls(config(authority.server(['site.test', 'after.test']))), before),
  )
  expect(await served(port, 'site.test')).toContain('after.test')
  expect(await served(port)).toContain('after.test')
  expect(await echo(old, 'still here')).toBe('still here')
})

test('contexts of unchanged certificates are used again', () => {
  const kept = config(authority.server(['kept.test']))
  const changed = authority.server(['changed.test'])
  const before = TlsContexts.build('web', tls(kept, config(changed)))
  const after = TlsContexts.build('web', tls({ ...kept }, config(authority.server(['changed.test']))), before)
  expect(after.find('kept.test')).toBe(before.find('kept.test'))
  expect(after.find('changed.test')).not.toBe(before.find('changed.test'))
  const stricter = TlsContexts.build('web', { ...tls(kept), minVersion: 'TLSv1.3' }, before)
  expect(stricter.find('kept.test')).not.toBe(before.find('kept.test'))
})

test.each([
  'TLSv1.2',
  'TLSv1.3',
] as const)('%s: a session begun on one thread is resumed on another', async (version) => {
  const certificate = authority.server(['site.test'])
  const start = (keys: Buffer) =>
    listen(new TlsTermination(TlsContexts.build('web', tls(config(certificate))), keys, 5000))
  const [one, two, stranger] = [
    await start(ticketKeys),
    await start(ticketKeys),
    await start(randomBytes(48)),
  ]
  const options = { servername: 'site.test', maxVersion: version }
  let session: Buffer | undefined
  const socket = connect({ port: one.port, host: '127.0.0.1', ca: authority.ca, ...options })
  socket.on('session', (ticket: Buffer) => {
    session = ticket
  })
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  // A TLS 1.3 ticket comes before the first bytes of the answer.
  await echo(socket, 'x')
  expect(session).toBeDefined()
  expect((await open(two.port, { ...options, session })).isSessionReused()).toBe(true)
  expect((await open(stranger.port, { ...options, session })).isSessionReused()).toBe(false)
})

describe('a certificate that cannot be used is named with its files', () => {
  const good = authority.server(['good.test'])
  const other = authority.server(['other.test'])
  test.each<[string, Certificate, RegExp]>([
    [
      'key of another',
      { ...good, key: other.key, keyFile: other.keyFile },
      /does not belong to the certificate/,
    ],
    ['no certificate', { ...good, cert: 'nonsense' }, /not a PEM certificate/],
    ['no key', { ...good, key: good.cert }, /not a usable PEM key/],
  ])('%s', (_name, certificate, reason) => {
    let error: unknown
    try {
      TlsContexts.build('web', tls(config(good), config(certificate)))
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: 'MR_TLS', path: 'listeners.web.tls' })
    expect(String(error)).toMatch(reason)
    expect(String(error)).toContain(certificate.certFile)
    expect(String(error)).toContain(certificate.keyFile)
  })
})

test('a handshake that does not come is ended', async () => {
  const contexts = TlsContexts.build('web', tls(config(authority.server(['site.test']))))
  const { server, port } = await listen(new TlsTermination(contexts, ticketKeys, 50))
  const failed = once(server, 'tlsClientError')
  const socket = connectPlain(port, '127.0.0.1')
  cleanups.push(() => socket.destroy())
  const closed = once(socket, 'close')
  await failed
  await closed
})
