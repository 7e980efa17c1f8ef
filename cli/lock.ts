/** `millrace lock`: runs a command while it holds a lock of the fleet, as flock(1) does on one machine. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { constants, hostname } from 'node:os'
import { Option } from 'commander'
import type { PluginUse } from '../core/config/snapshot.ts'
import { duration } from '../core/config/units.ts'
import type { ConfigStore, Lock, Locker } from '../core/contracts/index.ts'
import { loadPlugins } from '../core/host/loader.ts'
import { openLock } from '../core/host/open-lock.ts'
import type { PluginRegistry } from '../core/host/registry.ts'
import { builtins } from '../plugins/manifest.ts'
import { type StoreFlags, withStore } from './config/open.ts'
import { UsageError } from './failure.ts'
import type { Host, Verb } from './main.ts'
import type { Terminal } from './terminal.ts'

interface LockFlags extends StoreFlags {
  readonly redis?: string
  readonly redlock?: string
  readonly ttl: string
  readonly wait: string
  readonly grace: string
}

/** EX_TEMPFAIL of sysexits.h: another has the lock, or has it now. No status that a command is likely to end with. */
const notHeldStatus = 75

export const lock: Verb = (program, host) =>
  program
    .command('lock <name> <command...>')
    .description('run a command while a lock of the fleet is held; -- stands before a command with options')
    .addOption(new Option('--store <url>', 'where the lock is: a lease of this store').env('MILLRACE_STORE'))
    .option('--redis <url>', 'instead on this Redis server')
    .option('--redlock <urls>', 'instead on most of these, with commas between; --store gives the tokens')
    .option('--fleet <name>', 'whose lock (default: default)')
    .option('--ttl <duration>', 'how long the lock outlives a holder that is killed', '10s')
    .option('--wait <duration>', 'how long to wait for it; or: forever', '0s')
    .option('--grace <duration>', 'from SIGTERM to SIGKILL, when the lock is lost', '5s')
    .action((name: string, command: readonly string[], flags: LockFlags) =>
      runLocked(host, name, command, flags),
    )

async function runLocked(
  { terminal, finish }: Host,
  name: string,
  command: readonly string[],
  flags: LockFlags,
): Promise<void> {
  const ttlMs = durationOf('--ttl', flags.ttl)
  const waitMs = flags.wait === 'forever' ? Number.POSITIVE_INFINITY : durationOf('--wait', flags.wait)
  const graceMs = durationOf('--grace', flags.grace)
  const label = terminal.style('red', 'millrace:')
  await withLocker(terminal, flags, async (locker) => {
    const held = await locker.acquire(name, { ttlMs, waitMs })
    if (!held) {
      terminal.err(`${label} the lock ${name} is another's; the command was not run`)
      return finish(notHeldStatus)
    }
    const status = await runHeld(held, command, terminal, graceMs)
    if (held.lost.aborted) terminal.err(`${label} ${held.lost.reason.message}; the command was ended`)
    finish(held.lost.aborted ? notHeldStatus : status)
    await held.release()
  })
}

function durationOf(flag: string, text: string): number {
  const parsed = duration.safeParse(text)
  if (!parsed.success) throw new UsageError(`${flag}: ${parsed.error.issues[0].message}, not ${text}`)
  return parsed.data
}

async function withLocker(
  terminal: Terminal,
  flags: LockFlags,
  work: (locker: Locker) => Promise<void>,
): Promise<void> {
  const use = useOf(flags)
  const open = async (registry: PluginRegistry, store?: ConfigStore): Promise<void> => {
    const opened = await openLock(use, {
      ...{ registry, store, fleet: flags.fleet ?? 'default' },
      self: { id: hostname(), boot: randomUUID(), role: 'lb', address: '', zone: '' },
      random: Math.random,
      log: {
        debug() {},
        info() {},
        warn: (message) => terminal.err(`${terminal.style('yellow', 'warning:')} ${message}`),
        error: (message) => terminal.err(`${terminal.style('red', 'millrace:')} ${message}`),
      },
    })
    try {
      await work(opened.locker)
    } finally {
      await opened.stop()
    }
  }
  if (use.use === 'redis') await open(await loadPlugins([], builtins))
  else await withStore(terminal, flags, { make: true }, ({ registry, store }) => open(registry, store))
}

function useOf({ redis, redlock }: LockFlags): PluginUse {
  if (redis !== undefined && redlock !== undefined)
    throw new UsageError('--redis or --redlock: a lock is in one place')
  if (redis !== undefined) return { use: 'redis', options: { url: redis }, path: '--redis' }
  if (redlock !== undefined)
    return { use: 'redlock', options: { nodes: redlock.split(',') }, path: '--redlock' }
  return { use: 'store', options: {}, path: '--store' }
}

/** Runs it, and ends it when the lock is lost. @returns its exit status */
async function runHeld(
  held: Lock,
  [program, ...args]: readonly string[],
  terminal: Terminal,
  graceMs: number,
): Promise<number> {
  const child = spawn(program, args, {
    cwd: terminal.directory,
    stdio: 'inherit',
    env: {
      ...terminal.env,
      MILLRACE_LOCK: held.name,
      MILLRACE_LOCK_TOKEN: String(held.token.number),
      MILLRACE_LOCK_LINEAGE: held.token.lineage,
    },
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new UsageError(`${program} cannot be run: ${error.message}`)))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  })
  const forward = (signal: NodeJS.Signals): void => {
    // Of a terminal's Ctrl-C the command has heard by itself.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  let killing: NodeJS.Timeout | undefined
  const end = (): void => {
    child.kill('SIGTERM')
    killing = setTimeout(() => child.kill('SIGKILL'), graceMs)
  }
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, forward)
  held.lost.addEventListener('abort', end, { once: true })
  if (held.lost.aborted) end()
  try {
    return await ended
  } finally {
    clearTimeout(killing)
    held.lost.removeEventListener('abort', end)
    for (const signal of signals) process.off(signal, forward)
  }
}
