/**
 * TLS termination of a listener: which certificate a client gets, by the server name it asks for (exact, then wildcard,
 * then the first certificate), and how a running server is given new certificates. Handshakes under way and connections
 * that are open are not touched by a change.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type Server, type TlsOptions } from 'node:tls'
import type { CertificateConfig, ListenerConfig } from '../config/snapshot.ts'
import { MillraceError } from '../host/errors.ts'

export type TlsConfig = NonNullable<ListenerConfig['tls']>

interface Entry {
  readonly certificate: CertificateConfig
  readonly context: SecureContext
  /** Lower case. */
  readonly names: readonly string[]
}

/** What all contexts of a listener have in common. */
function contextOptions(certificate: CertificateConfig, tls: TlsConfig): TlsOptions {
  return {
    cert: certificate.cert,
    key: certificate.key,
    minVersion: tls.minVersion,
    // Renegotiation is of no use to HTTP and lets a client make the server work.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
}

/** How messages call a certificate. */
function label(certificate: CertificateConfig): string {
  const { certFile, keyFile } = certificate
  return certFile || keyFile
    ? `${certFile || 'inline'} with key ${keyFile || 'inline'}`
    : 'inline certificate'
}

function failure(
  listener: string,
  certificate: CertificateConfig,
  reason: string,
  cause?: unknown,
): MillraceError {
  const message = `listener ${listener}: ${label(certificate)}: ${reason}`
  return new MillraceError('MR_TLS', message, { path: `listeners.${listener}.tls`, cause })
}

function attempt<T>(listener: string, certificate: CertificateConfig, what: string, run: () => T): T {
  try {
    return run()
  } catch (cause) {
    throw failure(
      listener,
      certificate,
      `${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    )
  }
}

/** DNS names of a certificate's subject alternative names; the common name has not counted since RFC 6125. */
function alternativeNames(certificate: X509Certificate): string[] {
  const matches = (certificate.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^",]+)/g)
  return Array.from(matches, (match) => match[1])
}

function buildEntry(listener: string, tls: TlsConfig, certificate: CertificateConfig): Entry {
  const parsed = attempt(
    listener,
    certificate,
    'not a PEM certificate',
    () => new X509Certificate(certificate.cert),
  )
  const key = attempt(listener, certificate, 'not a usable PEM key', () => createPrivateKey(certificate.key))
  if (!parsed.checkPrivateKey(key))
    throw failure(listener, certificate, 'the key does not belong to the certificate')
  const context = attempt(listener, certificate, 'not usable', () =>
    createSecureContext(contextOptions(certificate, tls)),
  )
  const names = certificate.serverNames.length > 0 ? certificate.serverNames : alternativeNames(parsed)
  return { certificate, context, names: names.map((name) => name.toLowerCase()) }
}

const sameCertificate = (a: CertificateConfig, b: CertificateConfig): boolean =>
  a.cert === b.cert && a.key === b.key && a.serverNames.join() === b.serverNames.join()

/** The certificates of one listener, ready for use. Immutable. */
export class TlsContexts {
  readonly tls: TlsConfig
  readonly #entries: readonly Entry[]
  readonly #byName = new Map<string, SecureContext>()

  private constructor(tls: TlsConfig, entries: readonly Entry[]) {
    this.tls = tls
    this.#entries = entries
    for (const entry of entries) {
      for (const name of entry.names) if (!this.#byName.has(name)) this.#byName.set(name, entry.context)
    }
  }

  /**
   * Checks and loads all certificates, or throws and changes nothing.
   * @param previous the listener's contexts so far; those of unchanged certificates are used again
   * @throws MR_TLS naming the files, when one cannot be used
   */
  static build(listener: string, tls: TlsConfig, previous?: TlsContexts): TlsContexts {
    const reusable = previous?.tls.minVersion === tls.minVersion ? previous.#entries : []
    const entries = tls.certificates.map(
      (certificate) =>
        reusable.find((entry) => sameCertificate(entry.certificate, certificate)) ??
        buildEntry(listener, tls, certificate),
    )
    return new TlsContexts(tls, entries)
  }

  /** The context for a server name (SNI): exact, wildcard of one label (RFC 6125 §6.4.3), else the first. */
  find(serverName: string): SecureContext {
    const name = serverName.toLowerCase()
    const exact = this.#byName.get(name)
    if (exact !== undefined) return exact
    const dot = name.indexOf('.')
    const wildcard = dot > 0 ? this.#byName.get(`*${name.slice(dot)}`) : undefined
    return wildcard ?? this.#entries[0].context
  }
}

/** TLS of one running listener. */
export class TlsTermination {
  /** For `tls.createServer`. */
  readonly options: TlsOptions
  readonly #shared: TlsOptions
  #contexts: TlsContexts
  #server: Server | undefined

  /**
   * @param ticketKeys 48 bytes, the same in all threads: a session begun on one thread is resumed on any
   * @param handshakeTimeoutMs after which a connection without a handshake is closed
   */
  constructor(contexts: TlsContexts, ticketKeys: Buffer, handshakeTimeoutMs: number) {
    this.#contexts = contexts
    this.#shared = { ticketKeys, sessionIdContext: 'millrace' }
    this.options = {
      ...this.#defaults(),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: handshakeTimeoutMs,
      SNICallback: (serverName, done) => done(null, this.#contexts.find(serverName)),
    }
  }

  /** Takes charge of the server that was made with `options`: failed handshakes, later changes of certificates. */
  attach(server: Server): void {
    this.#server = server
    // After a handshake timeout Node leaves the socket open and to whoever listens.
    server.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  get contexts(): TlsContexts {
    return this.#contexts
  }

  /** New connections get these certificates from now on. */
  replace(contexts: TlsContexts): void {
    if (contexts === this.#contexts) return
    this.#contexts = contexts
    // For clients that send no server name: they never reach the SNI callback.
    this.#server?.setSecureContext(this.#defaults())
  }

  #defaults(): TlsOptions {
    const { tls } = this.#contexts
    return { ...contextOptions(tls.certificates[0], tls), ...this.#shared }
  }
}
