/** Schema of the config file: strict, units read, defaults filled in. What spans several values (names, duplicates,
 * files, plugin options) is in checks.ts. */
import { z } from 'zod'
import { parseNodeAddress } from '../fleet/address.ts'
import { parseCidr, parseHostMatch, parseListenAddress } from './addresses.ts'
import { fieldName, pem, serviceSchema } from './schema-service.ts'
import { byteRate, duration, positiveDuration, size } from './units.ts'
import { filterUse, parsedText, storeUse, syncUse } from './uses.ts'

const nameHint = 'expected a name: letters, digits, ".", "_" and "-", at most 128'
const name = z.string({ error: nameHint }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, nameHint)

const keyHint =
  'expected a secret of 16 characters or more, or a list of 1 to 8: the first seals, all are accepted'
const secret = z.string({ error: keyHint }).regex(/^[\s\S]{16,}$/, keyHint)
const fleetKey = z
  .union([secret, z.array(secret).min(1).max(8)], { error: keyHint })
  .meta({ description: 'Secret of the fleet: seals the messages between its nodes', writeOnly: true })

const advertise = z
  .string()
  .refine(
    (text) => parseNodeAddress(text) !== undefined,
    'expected host or host:port, such as 10.0.0.7:9903 or "[fd00::7]:9902"',
  )
  .refine(
    (text) => !['0.0.0.0', '::'].includes(parseNodeAddress(text)?.host ?? ''),
    'expected one address that the other nodes reach, not all addresses of this machine',
  )
  .describe('Where the other nodes reach this one, by UDP and TCP')

export const listenAddress = parsedText('expected host:port or unix:/path', parseListenAddress)
const tcpAddress = (needs: string) =>
  parsedText('expected host:port', (text) => {
    const parsed = parseListenAddress(text)
    return 'socketPath' in parsed && parsed.socketPath !== '' ? { fault: needs } : parsed
  })
const adminAddress = tcpAddress('the admin listener needs host:port, such as 127.0.0.1:9901')
const apiAddress = tcpAddress('the API needs host:port, such as 127.0.0.1:9902')
const hostMatch = parsedText(
  'expected a host name such as shop.example.com or "*.example.com"',
  parseHostMatch,
)

const pathPrefix = parsedText('expected a path such as /api', (text) => {
  if (!text.startsWith('/')) return { fault: 'a path starts with /', suggestion: `did you mean "/${text}"?` }
  if (/[?#]/.test(text)) return { fault: 'a path is matched without its query: it holds no ? or #' }
  if (!/^[\x21-\x7e]*$/.test(text))
    return { fault: 'a path is matched as it is sent: write spaces and non-ASCII characters percent-encoded' }
  return { path: text === '/' ? undefined : text }
})

const method = parsedText('expected a method such as GET', (text) => {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)) return { fault: 'expected a method such as GET' }
  const upper = text.toUpperCase()
  if (text !== upper && /^(get|head|post|put|delete|patch|options|trace|connect)$/i.test(text))
    return { fault: 'methods are matched with their case', suggestion: `did you mean "${upper}"?` }
  return { method: text }
})

export const matchSchema = z.strictObject({
  host: hostMatch.optional(),
  path: pathPrefix.optional().describe('Prefix, matched at segment boundaries'),
  method: z
    .union([method, z.array(method).min(1)], { error: 'expected a method such as GET, or a list' })
    .optional(),
  headers: z
    .record(
      fieldName,
      z.union([z.literal(true), z.string()], { error: 'expected a value, or true for any value' }),
    )
    .optional(),
})

const split = z.strictObject({ service: z.string(), weight: z.int().min(1).max(65_535).default(1) })

export const routeSchema = z.strictObject({
  name: name.optional(),
  match: matchSchema.prefault({}),
  service: z
    .union([z.string(), z.array(split).min(1)], {
      error: 'expected a service, or a list of { service, weight }',
    })
    .describe('A service, or a weighted split: a list of { service, weight }'),
  filters: z.array(filterUse, { error: 'expected a list of filters' }).default([]),
})
const routes = z.array(routeSchema, { error: 'expected a list of routes' })

const certificate = z.strictObject({
  cert: pem.describe('PEM file or text'),
  key: pem,
  serverNames: z.array(hostMatch).default([]),
})

const listenerTls = z.strictObject({
  cert: pem.optional(),
  key: pem.optional(),
  serverNames: z.array(hostMatch).default([]).describe('SNI names; the names in the certificate when absent'),
  certificates: z.array(certificate).default([]).describe('Further certificates, chosen by SNI'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
})

const listenerSchema = z.strictObject({
  address: listenAddress,
  proxyProtocol: z.boolean().default(false),
  tls: listenerTls.optional(),
  routes: routes.optional().describe('Routes of this listener alone, instead of the shared ones'),
})

const limits = z.strictObject({
  head: size.refine((bytes) => bytes >= 256 && bytes <= 2 ** 20, 'expected 256B to 1MiB').prefault('16KiB'),
  fields: z.int().min(1).max(10_000).default(100),
  target: size.refine((bytes) => bytes >= 16 && bytes <= 2 ** 20, 'expected 16B to 1MiB').prefault('8KiB'),
  headTimeout: positiveDuration.prefault('10s'),
  body: size.prefault(0).describe('0: no limit'),
  bodyIdle: positiveDuration.prefault('30s'),
  bodyMinRate: byteRate.prefault('240B/s').describe('After bodyIdle; 0: none'),
  writeStall: positiveDuration.prefault('60s'),
  keepAlive: positiveDuration.prefault('75s'),
  tlsHandshake: positiveDuration.prefault('10s'),
  connectionsPerAddress: z.int().min(1).default(1000),
  connections: z.int().min(1).default(20_000),
})

const backup = z.strictObject({
  to: z.string().min(1).optional().describe('A folder'),
  command: z
    .string()
    .min(1)
    .optional()
    .describe('Instead: a shell command that reads a backup from its input'),
  incremental: positiveDuration.prefault('1d').describe('Between two backups'),
  full: positiveDuration.prefault('7d').describe('Between two full ones'),
  keep: z.int().min(1).max(10_000).default(5).describe('Full backups that stay in the folder'),
})

/** Fewer characters can be guessed. */
const shortestToken = 16

const apiToken = z
  .strictObject({
    name: name.describe('Who it is: stands in the history and in the audit log'),
    role: z.enum(['read', 'operate', 'admin']),
    token: z
      .string()
      .min(shortestToken, `a token has at least ${shortestToken} characters: openssl rand -hex 32`)
      .regex(/^[\x21-\x7e]*$/, 'a token holds no spaces, and nothing but ASCII')
      .optional()
      .meta({ writeOnly: true }),
    tokenFile: z.string().min(1).optional().describe('File that holds the token'),
  })
  .refine(({ token, tokenFile }) => (token === undefined) !== (tokenFile === undefined), {
    error: 'expected either `token` or `tokenFile`',
  })

const apiSchema = z.strictObject({
  address: apiAddress.prefault('127.0.0.1:9902'),
  tokens: z
    .array(apiToken, { error: 'expected a list of { name, role, token | tokenFile }' })
    .default([])
    .describe('Without any, everybody on this machine may do everything'),
  hosts: z
    .array(hostMatch)
    .default([])
    .describe('Names, beside localhost and addresses, under which it is called'),
})

export const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  fleet: name.default('default'),
  fleetKey: fleetKey.optional(),
  node: z
    .strictObject({
      id: name.default('lb-1'),
      threads: z.int().min(1).max(256).optional().describe('Data threads; one per core when absent'),
      data: z.string().min(1).default('./.millrace'),
      advertise: advertise.default('127.0.0.1'),
      zone: z.string().default('').describe('Where this node is; services prefer backends of this zone'),
    })
    .prefault({}),
  admin: z
    .union([z.literal(false), z.strictObject({ address: adminAddress })], {
      error: 'expected { address: host:port }, or false',
    })
    .optional(),
  api: z
    .union([z.literal(false), apiSchema], { error: 'expected { address, tokens }, or false' })
    .optional()
    .describe('The LB API; needs a store'),
  plugins: z.array(z.string().min(1), { error: 'expected a list of paths and packages' }).default([]),
  store: storeUse.optional().describe('Where routes, services and filters come from; this file when absent'),
  sync: syncUse.optional().describe('How this node learns that the store has changed'),
  backup: backup.optional().describe('Backups of what the store holds, made by one node of the fleet'),
  probing: z.enum(['self', 'orchestrator']).default('self'),
  trustedProxies: z.array(parsedText('expected an address block such as 10.0.0.0/8', parseCidr)).default([]),
  limits: limits.prefault({}),
  drain: z.strictObject({ delay: duration.prefault('5s'), timeout: duration.prefault('30s') }).prefault({}),
  accessLog: z
    .union([z.boolean(), z.strictObject({ path: z.string().min(1) })], {
      error: 'expected true, false or { path }',
    })
    .default(false),
  listeners: z.record(name, listenerSchema, { error: 'expected listeners by name' }),
  filters: z.array(filterUse, { error: 'expected a list of filters' }).default([]),
  routes: routes.default([]),
  services: z.record(name, serviceSchema, { error: 'expected services by name' }).default({}),
})

/** The half that comes from the store where there is one. */
export const dynamicKeys = ['filters', 'routes', 'services'] as const

export const dynamicSchema = fileSchema.pick({ filters: true, routes: true, services: true })

export type FileConfig = z.output<typeof fileSchema>
export type ServiceFile = z.output<typeof serviceSchema>
export type RouteFile = z.output<typeof routeSchema>
