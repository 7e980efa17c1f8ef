/** How a plugin reaches Redis: the options that all of them share, and what the driver is given. */
import { readFileSync } from 'node:fs'
import type { RedisOptions } from 'ioredis'
import { duration, type PluginContext, z } from 'millrace'

/** Of a PEM file; a relative path is taken from the folder of the config. */
const file = z.string().min(1)
const endpoint = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, 'expected host:port, IPv6 in brackets')

/** redis://[user:password@]host[:port][/db], or rediss://… over TLS. */
export const redisUrl = z
  .url({ protocol: /^rediss?$/, error: 'expected redis://host:port or rediss://host:port' })
  .refine((text) => /^\/?\d{0,4}$/.test(pathOf(text)), 'expected the number of a database after the slash')
  .meta({ writeOnly: true })

/** Fields of the options; a plugin adds its own. */
export const connectionFields = {
  url: redisUrl
    .optional()
    .describe(
      'Where the server is: redis://[user:password@]host[:port][/db], or rediss://… over TLS. Default redis://127.0.0.1:6379',
    ),
  username: z.string().min(1).optional().describe('Of the ACL user; default: the one in the URL'),
  password: z.string().min(1).meta({ writeOnly: true }).optional().describe('Default: the one in the URL'),
  tls: z
    .strictObject({
      ca: file
        .optional()
        .describe('Certificates of the authorities that are trusted; default: those of the system'),
      cert: file.optional().describe('Our own certificate, where the server asks for one'),
      key: file.optional().describe('Its key'),
      serverName: z
        .string()
        .min(1)
        .optional()
        .describe("The name in the server's certificate, where it is not the host of the URL"),
      verify: z
        .boolean()
        .default(true)
        .describe('False takes any certificate: then anybody in between can read and write'),
    })
    .optional()
    .describe("TLS, to the Sentinels too. {} trusts the system's certificates"),
  sentinels: z
    .array(endpoint)
    .min(1)
    .optional()
    .describe('Sentinels, host:port each: they are asked who the master is. Instead of url'),
  name: z.string().min(1).optional().describe("The master's name at the Sentinels"),
  sentinelUsername: z.string().min(1).optional().describe('Of the ACL user at the Sentinels'),
  sentinelPassword: z.string().min(1).meta({ writeOnly: true }).optional().describe('Of the Sentinels'),
  timeout: duration
    .refine((ms) => ms >= 50 && ms <= 60_000, 'timeout is 50ms to 1m')
    .prefault('5s')
    .describe('How long a call may take before it is given up'),
} as const

const shape = z.strictObject(connectionFields)
export type Connection = z.output<typeof shape>

/** What no single field can tell; for `superRefine` of a plugin's options. */
export function checkConnection(
  { url, sentinels, name, tls }: Connection,
  context: { addIssue(issue: { code: 'custom'; message: string; path: string[] }): void },
): void {
  const problem = (field: string, message: string): void =>
    context.addIssue({ code: 'custom', message, path: [field] })
  if (sentinels !== undefined && url !== undefined)
    problem('url', 'expected `url` or `sentinels`, not both: the Sentinels say where the master is')
  if (sentinels !== undefined && name === undefined)
    problem('name', 'expected the name of the master, as the Sentinels know it')
  if (sentinels === undefined && name !== undefined) problem('name', 'makes sense with `sentinels` only')
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined))
    problem('tls', 'expected `cert` and `key` together')
}

/** Where it is, for messages: never with a password. */
export function placeOf({ url, sentinels, name }: Connection): string {
  if (sentinels) return `redis master ${name} (sentinels ${sentinels.join(', ')})`
  const { protocol, host } = new URL(url ?? defaultUrl)
  return `${protocol}//${host}`
}

const defaultUrl = 'redis://127.0.0.1:6379'

/**
 * What the driver is given. Nothing is queued while there is no connection and nothing is sent twice, so that a call knows whether
 * it was sent: a command that the driver resends by itself reports a conflict with its own first sending.
 *
 * @throws Error when a PEM file cannot be read
 */
export function driverOptions(
  connection: Connection,
  clientName: string,
  context: Pick<PluginContext, 'resolvePath'>,
): RedisOptions {
  const { timeout, sentinels, name, sentinelUsername, sentinelPassword } = connection
  const tls = tlsOf(connection, context)
  return {
    ...(sentinels
      ? {
          sentinels: sentinels.map(addressOf),
          name,
          role: 'master',
          sentinelUsername,
          sentinelPassword,
          sentinelTLS: tls,
          enableTLSForSentinelMode: tls !== undefined,
          sentinelCommandTimeout: timeout,
          sentinelReconnectStrategy: () => 5000,
          // Hears of a failover also where the old master is cut off and cannot close its connections.
          failoverDetector: true,
          username: connection.username,
          password: connection.password,
        }
      : serverOf(connection)),
    tls,
    connectionName: clientName.replace(/[^\x21-\x7e]/g, '_'),
    disableClientInfo: true,
    protocol: 2,
    connectTimeout: timeout,
    disconnectTimeout: 200,
    keepAlive: 10_000,
    enableOfflineQueue: false,
    // The link looks itself at what the check is for (loading, role); but a Sentinel that names a replica is left by it alone.
    enableReadyCheck: sentinels !== undefined,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // Commands under way fail as soon as their connection is lost.
    maxRetriesPerRequest: 0,
  }
}

function serverOf({ url, username, password }: Connection): RedisOptions {
  const at = new URL(url ?? defaultUrl)
  return {
    host: hostOf(at.hostname),
    port: at.port === '' ? 6379 : Number(at.port),
    username: username ?? (decodeURIComponent(at.username) || undefined),
    password: password ?? (decodeURIComponent(at.password) || undefined),
    db: Number(pathOf(at.href).slice(1) || 0),
  }
}

function tlsOf({ url, tls }: Connection, context: Pick<PluginContext, 'resolvePath'>): RedisOptions['tls'] {
  if (tls === undefined) return url?.startsWith('rediss:') ? {} : undefined
  const read = (path: string | undefined) =>
    path === undefined ? undefined : readFileSync(context.resolvePath(path))
  return {
    ca: read(tls.ca),
    cert: read(tls.cert),
    key: read(tls.key),
    servername: tls.serverName,
    rejectUnauthorized: tls.verify,
  }
}

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: hostOf(text.slice(0, colon)), port: Number(text.slice(colon + 1)) }
}

const hostOf = (text: string): string => text.replace(/^\[(.*)\]$/, '$1')

function pathOf(text: string): string {
  return URL.canParse(text) ? new URL(text).pathname : ''
}
