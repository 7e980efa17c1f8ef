/** Schema of `services`. */
import { z } from 'zod'
import { parseBackendUrl, parseHostHeader } from './addresses.ts'
import { duration, positiveDuration, ratio, size } from './units.ts'
import { algorithmUse, breakerUse, filterUse, healthUse, parsedText } from './uses.ts'

const urlHint = 'expected a URL such as http://127.0.0.1:9001, https://host or unix:/run/app.sock'

export const backendUrl = parsedText(urlHint, parseBackendUrl)

export const backendSchema = z.union(
  [
    backendUrl,
    z.strictObject({
      url: backendUrl,
      weight: z.int().min(0).max(65_535).default(1).describe('0 takes no new exchanges'),
      zone: z.string().default(''),
      tags: z.array(z.string().min(1)).default([]),
      priority: z
        .int()
        .min(0)
        .max(127)
        .default(0)
        .describe('Tier: 0 is used first, the next one as far as those above cannot carry everything'),
    }),
  ],
  { error: `${urlHint}, or { url, weight, zone, tags, priority }` },
)

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
export const fieldName = z
  .string()
  .regex(token, "expected a header field name: letters, digits and !#$%&'*+.^_`|~-")

const keySchema = parsedText('expected client-ip, path, header:NAME or cookie:NAME', (text) => {
  const [from, name, extra] = text.split(':')
  if ((from === 'client-ip' || from === 'path') && name === undefined) return { from, name: '' } as const
  const named = name !== undefined && extra === undefined && token.test(name)
  if (from === 'header' && named) return { from, name: name.toLowerCase() } as const
  if (from === 'cookie' && named) return { from, name } as const
  return { fault: 'expected client-ip, path, header:NAME or cookie:NAME' }
})

const hostSchema = parsedText('expected `backend`, `client`, or a host name', (text) => {
  if (text === 'backend' || text === 'client') return { mode: text, value: '' } as const
  const header = parseHostHeader(text)
  return 'fault' in header ? header : ({ mode: 'fixed', value: header.value } as const)
})

const upgradeSchema = z
  .string()
  .regex(token, 'expected the name of a protocol, such as websocket')
  .transform((name) => name.toLowerCase())
  .refine((name) => name !== 'h2c' && name !== 'h2', {
    error: 'an upgrade to HTTP/2 is never forwarded: the connection would leave the proxy’s control',
  })

export const pem = z.string().min(1, 'expected a file name or PEM text')

const serviceTls = z.strictObject({
  verify: z.boolean().default(true),
  ca: pem.optional().describe('PEM file or text; the system’s roots when absent'),
  serverName: z.string().min(1).optional().describe('SNI and verified name; the host of the URL when absent'),
  cert: pem.optional(),
  key: pem.optional(),
})

const slowStartHint = 'expected a duration such as 30s, or { window, aggression, minimum }; 0s: none'
const slowStart = z
  .union(
    [
      duration,
      z.strictObject({
        window: duration,
        aggression: z.number().gt(0).max(10).default(1).describe('1: linear; more: faster at first'),
        minimum: ratio.prefault('10%').describe('Share of the weight to begin with'),
      }),
    ],
    { error: slowStartHint },
  )
  .describe('How long a backend that comes back takes to get its whole share; 0s: none')

const loadBoundHint = 'expected off, or a factor over 1 such as 1.25'
const loadBound = z
  .union(
    [
      z.literal('off'),
      z.literal(false),
      z.number().refine((factor) => factor > 1 && factor <= 100, loadBoundHint),
    ],
    { error: loadBoundHint },
  )
  .default('off')
  .describe('No backend gets more than this × the mean of exchanges in flight; 1.25 is usual')

export const serviceSchema = z.strictObject({
  algorithm: algorithmUse.default('round-robin'),
  backends: z.array(backendSchema, { error: 'expected a list of backends' }),
  health: healthUse.optional(),
  breaker: breakerUse.default('error-rate'),
  filters: z.array(filterUse, { error: 'expected a list of filters' }).default([]),
  timeouts: z
    .strictObject({
      connect: positiveDuration.prefault('1s'),
      firstByte: positiveDuration.prefault('15s'),
      idle: positiveDuration.prefault('60s'),
      request: duration.prefault('0s').describe('The whole exchange; 0s: none'),
    })
    .prefault({}),
  retries: z
    .strictObject({
      attempts: z.int().min(0).max(100).default(1),
      budget: ratio.prefault('20%').describe('Share of the active requests that may be retries'),
      bodyBuffer: size.prefault('64KiB'),
      on: z.array(z.int().min(400).max(599)).default([]).describe('Statuses that are retried'),
    })
    .prefault({}),
  connections: z
    .strictObject({
      max: z.int().min(1).max(1_000_000).default(256).describe('Per backend and process'),
      idle: positiveDuration.prefault('60s'),
      pipelining: z.int().min(1).max(1024).default(1),
      queue: z.int().min(0).max(1_000_000).default(1024),
      queueTimeout: positiveDuration.prefault('1s'),
    })
    .prefault({}),
  upgrades: z.array(upgradeSchema).default(['websocket']),
  panicThreshold: ratio.prefault('50%').describe('Under this share of available backends all are used'),
  loadBound,
  slowStart: slowStart.prefault('0s'),
  zonePreference: z.boolean().default(true).describe('Prefer backends of node.zone while they can carry it'),
  key: keySchema.prefault('client-ip').describe('What request.hash is made of'),
  host: hostSchema.prefault('client').describe('Host sent to backends'),
  tls: serviceTls.prefault({}),
})
