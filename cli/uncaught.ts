/** What nobody catches on the main thread: where a plugin has to answer for it the process goes on, else it ends, and says why. */
import type { Log } from '../core/contracts/plugin.ts'
import { withoutVersions } from '../core/host/resolver.ts'
import { toldOf } from '../core/threads/blame.ts'
import type { MainPlugins } from '../core/threads/main-plugins.ts'
import type { Terminal } from './terminal.ts'

/** The process, or what a test puts in its place. A rejection that nobody handles comes this way too. */
export interface UncaughtSource {
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown
  off(event: 'uncaughtException', listener: (error: unknown) => void): unknown
}

export interface UncaughtDeps {
  readonly main: Pick<MainPlugins, 'threw'>
  readonly log: Log
  readonly terminal: Pick<Terminal, 'err' | 'style'>
  /** Ends the process at once. */
  end(status: number): void
}

/** As where Node itself ends a process for such an error. */
const status = 1

/** @returns takes the listener off again */
export function onUncaught(source: UncaughtSource, { main, log, terminal, end }: UncaughtDeps): () => void {
  const listener = (error: unknown): void => {
    try {
      if (main.threw(error)) return
      const { stack } = toldOf(error)
      log.error('main thread: uncaught error', { code: 'MR_UNCAUGHT', stack: withoutVersions(stack) })
      terminal.err(`${terminal.style('red', 'millrace:')} MR_UNCAUGHT ${lastWords(error)}`)
    } catch {
      // Nobody can be told any more.
    }
    end(status)
  }
  source.on('uncaughtException', listener)
  return () => void source.off('uncaughtException', listener)
}

/** One line: it is the last that the process writes. */
function lastWords(error: unknown): string {
  const message = withoutVersions(toldOf(error).message).replaceAll(/\s*\n\s*/g, ' ')
  return `the process ends by an error that nobody caught, and that no plugin has to answer for: ${message}`
}
