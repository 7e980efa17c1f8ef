/** Writes a revision on top of the one that was seen. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as later } from 'node:timers/promises'
import { canonical } from '../../core/config/canonical.ts'
import { unifiedDiff } from '../../core/config/line-diff.ts'
import { checkKnown, checkReaders } from '../../core/config/sync/schema-gate.ts'
import { configDocument, configSchema, decodeConfig, encodeConfig } from '../../core/config/sync/value.ts'
import type { ConfigStore, Document, PutResult, WriteNote } from '../../core/contracts/index.ts'
import { UsageError } from '../failure.ts'
import type { Host } from '../main.ts'
import type { Terminal } from '../terminal.ts'
import type { Session } from './open.ts'
import { dataBefore, describe, shownYaml } from './revisions.ts'

export interface WriteFlags {
  readonly message?: string
  readonly by?: string
  readonly dryRun?: boolean
}

/** How often a write of which nobody knows whether it was done is sent again. It is done once, however often it is sent. */
const tries = 5
const pauseMs = 500

/** @throws UsageError */
export function noteOf(terminal: Terminal, { message, by }: WriteFlags): WriteNote {
  const { USER, LOGNAME } = terminal.env
  const who = by ?? `${USER ?? LOGNAME ?? 'unknown'}@${hostname()}`
  if (who.length === 0 || who.length > 200) throw new UsageError('--by: expected 1 to 200 characters')
  if (message !== undefined && (message.length > 1000 || /[\r\n]/.test(message)))
    throw new UsageError('--message: expected one line of at most 1,000 characters')
  return { by: who, message, schema: configSchema }
}

export interface Writing {
  /** What it is written on top of. */
  readonly head: Document | null
  readonly data: unknown
  readonly note: WriteNote
  readonly dryRun: boolean
  /** Takes out of the difference what came from the environment. */
  redact?(text: string): string
}

/** Shows what changes, writes it, and says which revision it is; an unchanged config is not written. */
export async function write(
  { terminal, finish }: Host,
  { store, announcer }: Pick<Session, 'store' | 'announcer'>,
  writing: Writing,
): Promise<void> {
  const { head, data, note, dryRun, redact = String } = writing
  const value = encodeConfig(data)
  const next = decodeConfig(value, configSchema)
  if (head !== null && !head.tombstone && canonical(dataBefore(head)) === canonical(next)) {
    terminal.out(`unchanged: revision ${head.revision.number}`)
    return
  }
  const lines = unifiedDiff(head === null ? '' : shownYaml(dataBefore(head)), shownYaml(next))
  if (lines.length > 0) terminal.out(redact(lines.join('\n')))
  if (dryRun) {
    terminal.out('not written: --dry-run')
    return
  }
  announcer.open()
  const result = await settled(store, configDocument, head, value, note)
  if (result.status === 'committed') {
    terminal.out(`revision ${result.revision.number}`)
    await announcer.announce(configDocument, result.revision)
    return
  }
  finish(1)
  terminal.err(
    `${terminal.style('red', 'millrace:')} ${await whyNot(store, configDocument, head, result, 'apply again')}`,
  )
}

/** @param again what to do where others have written */
export async function whyNot(
  store: ConfigStore,
  document: string,
  head: Document | null,
  result: Exclude<PutResult, { status: 'committed' }>,
  again: string,
): Promise<string> {
  return result.status === 'conflict'
    ? `not written: ${await between(store, document, head, result, again)}`
    : 'the store did not answer: nobody knows whether this was written; millrace config history tells'
}

/**
 * Writes on top of the head. One of unknown outcome is sent again, which takes effect at most once.
 * @throws MR_STORE_*; nothing was written then
 */
export async function settled(
  store: ConfigStore,
  document: string,
  head: Document | null,
  value: Uint8Array | null,
  note: WriteNote,
): Promise<PutResult> {
  checkKnown(document, head?.note)
  await checkReaders(store, document, note)
  const writeId = randomUUID()
  let last: PutResult = { status: 'unknown', cause: undefined }
  for (let sent = 0; sent < tries; sent++) {
    if (sent > 0) await later(pauseMs)
    try {
      last = await store.put(document, value, head?.revision ?? null, writeId, note)
    } catch (error) {
      // The first certainly wrote nothing; after one that is unknown this says nothing of that one.
      if (sent === 0) throw error
    }
    if (last.status !== 'unknown') return last
  }
  return last
}

/** Who wrote since, the newest first. */
async function between(
  store: ConfigStore,
  document: string,
  head: Document | null,
  { head: now }: Extract<PutResult, { status: 'conflict' }>,
  again: string,
): Promise<string> {
  const seen = head?.revision.number ?? 0
  const since = (await store.history(document, { limit: 20 })).filter(
    ({ revision }) => revision.number > seen,
  )
  const shown = since.length > 0 ? since : now ? [now] : []
  const what = head === null ? `there was no ${document} when this began` : `this began from revision ${seen}`
  const list = shown.map((one) => `\n  ${describe(one)}`).join('')
  return `${what}, and others have written since${list}\nLook at it (millrace config diff ${seen || 1}) and ${again}`
}
