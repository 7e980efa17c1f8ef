/** Backups into the standard input of a command: to another machine, an object store, a tape. */
import { spawn } from 'node:child_process'
import type { RawClock, RawTimer } from '../../host/clock.ts'
import { MillraceError } from '../../host/errors.ts'
import type { BackupTarget } from './directory.ts'
import type { Backup } from './take.ts'

/** What the shell is given beside the environment of this process: the name that the backup would have as a file, and its kind. */
const nameVariable = 'MILLRACE_BACKUP'
const kindVariable = 'MILLRACE_BACKUP_KIND'
/** A command that hangs is ended. */
const usualLimitMs = 600_000
/** After its end: what it has left running in the background may have its standard error, and keep that open for ever. */
const lingerMs = 1000
/** Of what it says on standard error, the end. */
const longestComplaint = 1000

export interface CommandOptions {
  readonly command: string
  /** Names it to people, in logs and in the store: its text may hold secrets of the environment. Default: where it stands in the config. */
  readonly place?: string
  readonly clock: Pick<RawClock, 'after'>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly directory?: string
  readonly limitMs?: number
}

export class BackupCommand implements BackupTarget {
  readonly place: string
  readonly #options: CommandOptions

  constructor(options: CommandOptions) {
    this.#options = options
    this.place = options.place ?? 'backup.command'
  }

  /** @throws MR_BACKUP when it cannot be started, ends with another status than 0, or in time not at all */
  async write({ name, header, bytes }: Backup, signal?: AbortSignal): Promise<void> {
    const { command, clock, env, directory, limitMs = usualLimitMs } = this.#options
    signal?.throwIfAborted()
    const child = spawn(command, {
      shell: true,
      cwd: directory,
      // A group of its own, so that all of a pipeline can be ended.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...env, [nameVariable]: name, [kindVariable]: header.kind },
    })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-longestComplaint)
    })
    let why = ''
    const end = (reason: string): void => {
      why ||= reason
      endGroup(child.pid)
    }
    const timer = clock.after(limitMs, () => end(`it was not done within ${limitMs / 1000} s`))
    let lingering: RawTimer | undefined
    child.once('exit', () => {
      lingering = clock.after(lingerMs, () => child.stderr.destroy())
    })
    const stop = (): void => end('it was called off')
    signal?.addEventListener('abort', stop)
    try {
      const ended = new Promise<string>((resolve) => {
        child.once('error', (error) => resolve(error.message))
        child.once('close', (code, signal) => {
          resolve(code === 0 ? '' : signal ? `it was ended by ${signal}` : `it ended with status ${code}`)
        })
      })
      const fed = new Promise<string>((resolve) => {
        child.stdin.once('error', (error) => resolve(error.message))
        child.stdin.end(bytes, (error?: Error | null) => resolve(error?.message ?? ''))
      })
      const [how, feeding] = await Promise.all([ended, fed])
      why ||= how || feeding
      if (why === '') return
      const said = complaint.trim()
      throw new MillraceError(
        'MR_BACKUP',
        `the backup was not taken by ${this.place}: ${why}${said === '' ? '' : `: ${said}`}`,
      )
    } finally {
      timer.cancel()
      lingering?.cancel()
      signal?.removeEventListener('abort', stop)
    }
  }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
