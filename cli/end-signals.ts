/** How a process is told to end. SIGTERM and SIGINT: the first one asks for an orderly end, a second one for an immediate end. */
import { closeSync, openSync } from 'node:fs'
import type { Clock } from '../core/contracts/plugin.ts'

export type EndSignal = 'SIGTERM' | 'SIGINT'

/** The process, or what a test puts in its place. */
export interface SignalSource {
  on(signal: EndSignal, listener: () => void): unknown
  off(signal: EndSignal, listener: () => void): unknown
}

export interface EndHandlers {
  first(signal: EndSignal): void
  second(signal: EndSignal): void
}

/**
 * A Ctrl-C in `npm start` arrives several times: from the terminal, from npm and from the launcher. Signals that come
 * within this time are then one, in milliseconds.
 */
const doubledMs = 250

/**
 * @param doubled whether a launcher stands between the user and this process
 * @returns takes the listeners off again
 */
export function onEndSignals(
  source: SignalSource,
  clock: Pick<Clock, 'now'>,
  doubled: boolean,
  handlers: EndHandlers,
): () => void {
  let firstAt: number | undefined
  const receive = (signal: EndSignal): void => {
    if (firstAt === undefined) {
      firstAt = clock.now()
      handlers.first(signal)
    } else if (!doubled || clock.now() - firstAt > doubledMs) handlers.second(signal)
  }
  const onTerm = (): void => receive('SIGTERM')
  const onInt = (): void => receive('SIGINT')
  source.on('SIGTERM', onTerm)
  source.on('SIGINT', onInt)
  return () => {
    source.off('SIGTERM', onTerm)
    source.off('SIGINT', onInt)
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

/**
 * Calls `gone` when the window that the process was started in is closed. A SIGHUP means that only where the process reads
 * from a terminal and that terminal no longer exists; else it asks for a reload.
 */
export function onTerminalGone(gone: () => void): void {
  if (process.stdin.isTTY && hasTerminal())
    process.on('SIGHUP', () => {
      if (!hasTerminal()) gone()
    })
}
