/** The composition root: reads the command line and runs one verb. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { installResolver } from '../core/host/loader.ts'
import { tellFailure } from './failure.ts'
import { portOwner } from './port-owner.ts'
import { processTerminal, type Terminal } from './terminal.ts'

/** What a verb is given. */
export interface Host {
  readonly terminal: Terminal
  readonly version: string
  /** Sets the exit status; 0 when it is not called. */
  finish(status: number): void
}

/** Adds a command; its action resolves when the command is done, or throws what is to be told. */
export type Verb = (program: Command, host: Host) => unknown

/** In the order in which the help has them. Each is loaded when it is asked for: all of them are 800 modules. */
const verbs: Readonly<Record<string, () => Promise<Verb>>> = {
  up: async () => (await import('./up.ts')).up,
  lb: async () => (await import('./lb.ts')).lb,
  check: async () => (await import('./check.ts')).check,
  schema: async () => (await import('./schema.ts')).schema,
  explain: async () => (await import('./explain.ts')).explain,
  plugin: async () => (await import('./plugin.ts')).plugin,
  breaker: async () => (await import('./breaker.ts')).breaker,
  config: async () => (await import('./config.ts')).config,
  lock: async () => (await import('./lock.ts')).lock,
  bench: async () => (await import('./bench.ts')).bench,
}

/** The verb that a command line names; all of them where it names none, for the help and for what it may have meant. */
function namedVerbs([verb]: readonly string[]): Promise<Verb[]> {
  if (verb === '--version' || verb === '-V') return Promise.resolve([])
  const named = Object.hasOwn(verbs, verb ?? '') ? [verbs[verb]] : Object.values(verbs)
  return Promise.all(named.map((load) => load()))
}

/** package.json lies above cli/, in the checkout and in the package alike. */
function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Exit status of a wrong command line; commander says 1 for it. What `bench` says with 2 is something else. */
const usageStatus = ([verb]: readonly string[]): number => (verb === 'bench' ? 3 : 2)

/** @returns the exit status */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const version = packageVersion()
  const program = new Command('millrace')
    .description('A strict, fast HTTP load balancer in which every policy is a plugin.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
  let status = 0
  const finish = (own: number): void => {
    status = own
  }
  const verbsOfLine = await namedVerbs(argv)
  // What is ours does not pass through it.
  installResolver()
  for (const verb of verbsOfLine) verb(program, { terminal, version, finish })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageStatus(argv)
    return tellFailure(error, terminal, portOwner)
  }
}
