/**
 * The `overrides` document: what operators have decided about breakers and drains, apart from the config (design.md §7). It takes effect
 * without a snapshot. Here are its form and its changes; nothing here reads a clock, a disk or a store.
 */
import { z } from 'zod'
import { MillraceError } from '../host/errors.ts'
import { canonical } from './canonical.ts'
import { duration } from './units.ts'

/** The document's name in the store. */
export const overridesDocument = 'overrides'

/** Newest schema of the value that this version reads and writes. */
export const overridesSchema = 1

const decided = {
  service: z.string(),
  reason: z.string(),
  actor: z.string(),
  /** When it was decided, and when it ends by itself. ISO 8601. */
  since: z.iso.datetime(),
  until: z.iso.datetime().optional(),
}

const breakerRecord = z.strictObject({
  ...decided,
  /** URL; absent: every backend of the service. One for a backend comes before one for its service. */
  backend: z.string().optional(),
  /** `auto`: what the breaker says; only where it undoes a record of the service for one backend. */
  mode: z.enum(['auto', 'open', 'closed']),
})

/** The backend gets no new exchange; those in flight finish. */
const drainRecord = z.strictObject({ ...decided, backend: z.string() })

export const overridesForm = z.strictObject({
  schema: z.literal(overridesSchema),
  /** Counts up with each change; the store's, where there is one. */
  revision: z.int().min(0),
  breakers: z.array(breakerRecord),
  drains: z.array(drainRecord).default([]),
})

export type BreakerRecord = z.output<typeof breakerRecord>
export type DrainRecord = z.output<typeof drainRecord>
export type OverridesDocument = z.output<typeof overridesForm>

export const noOverrides: OverridesDocument = {
  schema: overridesSchema,
  revision: 0,
  breakers: [],
  drains: [],
}

/** What whoever decides has to say, and may. */
export const decisionFields = {
  reason: z.string({ error: 'say why: others will ask' }).min(1, 'say why: others will ask').max(1000),
  until: z.iso.datetime({ offset: true }).optional(),
  for: duration.refine((ms) => ms > 0, 'must be longer than 0s').optional(),
}

export interface Target {
  readonly service: string
  readonly backend?: string | undefined
}

const sameTarget = (a: Target, b: Target): boolean => a.service === b.service && a.backend === b.backend

export function withBreaker(document: OverridesDocument, record: BreakerRecord): OverridesDocument {
  const others = document.breakers.filter((one) => !sameTarget(one, record))
  return { ...document, breakers: [...others, record] }
}

/** Without a backend: also those of every backend of the service. */
export function withoutBreakers(document: OverridesDocument, target: Target): OverridesDocument {
  return { ...document, breakers: document.breakers.filter((one) => !isMeant(one, target)) }
}

/** Whether {@link withoutBreakers} would take the record out. */
export function isMeant(record: BreakerRecord, target: Target): boolean {
  return target.backend === undefined ? record.service === target.service : sameTarget(record, target)
}

export function withDrain(document: OverridesDocument, record: DrainRecord): OverridesDocument {
  const others = document.drains.filter((one) => !sameTarget(one, record))
  return { ...document, drains: [...others, record] }
}

export function withoutDrain(document: OverridesDocument, target: Required<Target>): OverridesDocument {
  return { ...document, drains: document.drains.filter((one) => !sameTarget(one, target)) }
}

interface Ending {
  readonly until?: string | undefined
}

/** @param now wall clock, milliseconds */
const isOver = ({ until }: Ending, now: number): boolean => until !== undefined && Date.parse(until) <= now

/** The records whose time is over. */
export function endedOverrides(
  { breakers, drains }: OverridesDocument,
  now: number,
): readonly (BreakerRecord | DrainRecord)[] {
  return [...breakers, ...drains].filter((record) => isOver(record, now))
}

/** The same document where none has ended. */
export function withoutEnded(document: OverridesDocument, now: number): OverridesDocument {
  if (endedOverrides(document, now).length === 0) return document
  return {
    ...document,
    breakers: document.breakers.filter((record) => !isOver(record, now)),
    drains: document.drains.filter((record) => !isOver(record, now)),
  }
}

/** When the next record ends, wall clock; undefined: none does. */
export function nextEnd({ breakers, drains }: OverridesDocument): number | undefined {
  const ends = [...breakers, ...drains].flatMap(({ until }) =>
    until === undefined ? [] : [Date.parse(until)],
  )
  return ends.length === 0 ? undefined : Math.min(...ends)
}

/** What is in force for the breaker of a backend; undefined: its own state. */
export function breakerFor(
  { breakers }: OverridesDocument,
  service: string,
  url: string,
): BreakerRecord | undefined {
  let found: BreakerRecord | undefined
  for (const record of breakers) {
    if (record.service !== service) continue
    if (record.backend === url) return record
    if (record.backend === undefined) found = record
  }
  return found
}

export function drainFor(
  { drains }: OverridesDocument,
  service: string,
  url: string,
): DrainRecord | undefined {
  return drains.find((record) => record.service === service && record.backend === url)
}

/**
 * The end of a decision as its record has it.
 * @throws MR_OVERRIDE when it has passed
 */
export function endOf(
  { until, lastsMs }: { readonly until?: string | undefined; readonly lastsMs?: number | undefined },
  now: number,
): string | undefined {
  const end = lastsMs === undefined ? until : new Date(now + lastsMs).toISOString()
  if (end === undefined) return undefined
  if (Date.parse(end) > now) return new Date(end).toISOString()
  throw new MillraceError('MR_OVERRIDE', `until: ${end} has passed`, { path: 'until' })
}

/** Equal decisions give equal bytes. The revision is the store's. */
export function encodeOverrides({ breakers, drains }: OverridesDocument): Uint8Array {
  return Buffer.from(canonical({ schema: overridesSchema, breakers, drains }))
}

/**
 * @param value `null` (the document was removed) and no bytes: nothing is decided
 * @param revision number of the store's revision
 * @throws MR_STORE_DATA
 */
export function decodeOverrides(value: Uint8Array | null, revision: number): OverridesDocument {
  if (value === null || value.byteLength === 0) return { ...noOverrides, revision }
  let data: unknown
  try {
    data = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value))
  } catch (cause) {
    throw unreadable(cause instanceof Error ? cause.message : String(cause), cause)
  }
  const parsed = overridesForm.safeParse(typeof data === 'object' ? { ...data, revision } : data)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw unreadable(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, parsed.error)
}

function unreadable(why: string, cause: unknown): MillraceError {
  return new MillraceError('MR_STORE_DATA', `the overrides in the store cannot be understood: ${why}`, {
    cause,
  })
}
