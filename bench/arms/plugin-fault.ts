/** Why a plugin fails in requests: a load balancer answers its client with a code, and writes the reason to its log. */
import { readFileSync } from 'node:fs'

/** Body of an answer in the place of one that a plugin did not bring about. */
export const faultAnswer = /^MR_PLUGIN_(?:FAULT|TIMEOUT)\b/

const codes = ['MR_PLUGIN_FAULT', 'MR_PLUGIN_TIMEOUT']

/**
 * The last fault that the log of an LB server tells of, on one line: `filter gate failed in onRequest: Error: boom (at gate.ts:7)`.
 *
 * @param log path of its file, JSON line by line; other lines are left out
 * @returns undefined where it tells of none
 */
export function faultIn(log: string): string | undefined {
  const lines = readFileSync(log, 'utf8').split('\n')
  for (const line of lines.reverse()) {
    if (!codes.some((code) => line.includes(code))) continue
    const { code, msg, cause } = fieldsOf(line)
    // Lines that say how many more there were have no cause.
    if (!codes.includes(String(code)) || typeof cause !== 'string') continue
    const [thrown, ...frames] = cause.split('\n')
    const found = frames.map((frame) => ownPlace.exec(frame)).find((frame) => frame !== null)
    const place = found ? ` (at ${found[1]}${found[2]})` : ''
    // A hook that is late has nothing more to say than the message says.
    return String(msg).endsWith(thrown) ? String(msg) : `${msg}: ${thrown}${place}`
  }
  return undefined
}

/** `gate.ts:7` of a frame in code that is loaded by its version. */
const ownPlace = /([^/]+)\?millrace=[\w-]+(:\d+):\d+\)?$/

function fieldsOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
