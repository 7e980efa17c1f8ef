import type { BackendTls } from 'millrace'

/** undici, loaded when the first probe source is made. */
export const loadUndici = () => import('undici')
export type Undici = Awaited<ReturnType<typeof loadUndici>>
export type ProbeClient = InstanceType<Undici['Client']>

export interface ProbeRequest {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS'
  readonly path: string
  /** Host header; undefined: of the address that is probed. */
  readonly host?: string
  /** Keep the connection for the next probe. */
  readonly keepAlive: boolean
}

/** How much of an answer's body is read to keep a connection; a longer body ends it. */
const bodyLimit = 64 * 1024

/**
 * A client of one connection to a backend. Timeouts are the caller's.
 * @param url of the backend, as in the config: `http://…`, `https://…` or `unix:/path`
 * @param port instead of the URL's; not for unix sockets
 */
export function probeClient(
  { Client, buildConnector }: Undici,
  url: string,
  port: number | undefined,
  tls: BackendTls | undefined,
): ProbeClient {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined
  const origin = new URL(socketPath === undefined ? url : 'http://localhost')
  if (port !== undefined && socketPath === undefined) origin.port = String(port)
  const connector = buildConnector({
    allowH2: false,
    // A resumed session would skip the very check of the certificate that a probe should notice.
    maxCachedSessions: 0,
    timeout: 0,
    ...(socketPath === undefined ? {} : { socketPath }),
    rejectUnauthorized: tls?.verify ?? true,
    ca: tls?.ca,
    cert: tls?.cert,
    key: tls?.key,
  })
  // undici takes the server name from the Host header; the certificate is the backend's, whatever Host says.
  const servername = tls?.serverName
  return new Client(origin.origin, {
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (options, callback) =>
      connector(options.protocol === 'https:' ? { ...options, servername } : options, callback),
  })
}

/** One request; its status. The answer's body is read only as far as a connection that is kept needs it. */
export async function probe(
  client: ProbeClient,
  request: ProbeRequest,
  signal: AbortSignal,
): Promise<number> {
  const { statusCode, body } = await client.request({
    method: request.method,
    path: request.path,
    headers: {
      ...(request.host === undefined ? {} : { host: request.host }),
      'user-agent': 'millrace-probe',
    },
    reset: !request.keepAlive,
    signal,
  })
  // The status has come and is the result; what becomes of the body changes nothing.
  body.on('error', () => {})
  if (request.keepAlive) await body.dump({ limit: bodyLimit, signal }).catch(() => {})
  return statusCode
}

/** An error in a few words: `connect ECONNREFUSED`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses were tried: the first says as much as all.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const { syscall, code, message } = (first instanceof Error ? first : error) as NodeJS.ErrnoException
  if (syscall !== undefined && code !== undefined) return `${syscall} ${code}`
  return message || code || error.name
}
