import { createServer as createTlsServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { BackendTls } from 'millrace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CertificateAuthority, createCertificateAuthority } from '../../harness/certificates.ts'
import { answering, listen, start } from './probes.ts'

describe('over https', () => {
  let authority: CertificateAuthority
  beforeAll(() => {
    authority = createCertificateAuthority()
  })
  afterAll(() => authority.dispose())

  const settings = (change: Partial<BackendTls>): BackendTls => ({
    verify: true,
    ca: authority.ca,
    serverName: undefined,
    cert: undefined,
    key: undefined,
    ...change,
  })

  /** A server for backend.internal; what was asked for by SNI, and who asked. */
  async function secure(clients = false): Promise<{ url: string; names: unknown[] }> {
    const { cert, key } = authority.server(['backend.internal'])
    const names: unknown[] = []
    const server = createTlsServer(
      { cert, key, ca: authority.ca, requestCert: clients, rejectUnauthorized: clients },
      (request, response) => {
        const socket = request.socket as TLSSocket
        names.push(socket.servername, socket.getPeerCertificate()?.subject?.CN)
        answering(200)(request, response)
      },
    )
    return { url: `https://127.0.0.1:${await listen(server)}`, names }
  }

  test('the certificate is checked against serverName, whatever Host says', async () => {
    const { url, names } = await secure()
    const { reports, round } = await start(
      { host: 'shop.example.com' },
      [url],
      settings({ serverName: 'backend.internal' }),
    )
    await round()
    expect(reports[0]).toMatchObject({ up: true, reason: 'status 200' })
    expect(names[0]).toBe('backend.internal')
  })

  test('another name, or an unknown CA, is down', async () => {
    const { url } = await secure()
    for (const change of [
      { serverName: 'other.internal' },
      { serverName: 'backend.internal', ca: undefined },
    ]) {
      const { reports, round } = await start({}, [url], settings(change))
      await round()
      expect(reports[0].up).toBe(false)
      expect(reports[0].reason).toMatch(/certificate/i)
    }
  })

  test('verify: false takes any certificate', async () => {
    const { url } = await secure()
    const { reports, round } = await start({}, [url], settings({ verify: false, ca: undefined }))
    await round()
    expect(reports[0].up).toBe(true)
  })

  test('a client certificate is shown', async () => {
    const { url, names } = await secure(true)
    const { cert, key } = authority.client('prober')
    const { reports, round } = await start({}, [url], settings({ serverName: 'backend.internal', cert, key }))
    await round()
    expect(reports[0]).toMatchObject({ up: true })
    expect(names[1]).toBe('prober')
  })
})
