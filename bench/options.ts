import { parseArgs } from 'node:util'
import { defaultMillraceCommand } from './arms/millrace.ts'

export const parts = ['64b', 'pipelined', '64k', '1m', 'upload', 'idle', 'threads', 'soak'] as const
export type Part = (typeof parts)[number]

export interface Options {
  readonly rounds: number
  /** Of one measurement, and of the warm-up before it. */
  readonly seconds: number
  readonly warmup: number
  readonly only: readonly Part[]
  /** undefined: the arms that a part names itself. */
  readonly arms: readonly string[] | undefined
  readonly out: string | undefined
  readonly seed: number
  /** What is judged of the soak; its warm-up takes as long. */
  readonly soakMinutes: number
  readonly idleConnections: number
  readonly millraceCommand: readonly string[]
}

export const usage = `node bench/core-speed.ts [options]   (Node 24 or later; npm run -w bench core-speed -- [options])
  --rounds N           interleaved rounds, each in a random order of the arms (5)
  --seconds N          one measurement (4)          --warmup N   before each (8)
  --only LIST          of ${parts.join(',')} (all)
  --arms LIST          of nginx,nginx-shipped,nginx-same-lines,haproxy,millrace,millrace-pipelined,core,floor,passthrough,
                       http-proxy,reply-from (those each part needs)
  --soak-minutes N     what is judged (10), after a warm-up that is as long
  --idle-connections N (10000)
  --seed N             repeats an earlier order     --out DIR    for results.json, results.md, cpu.svg
  --millrace-command C a command with {config} in it, instead of this checkout's "cli/bin.js lb -c {config}"`

/** Reads the command line; throws a message for the user when it makes no sense. */
export function readOptions(parameters: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      warmup: { type: 'string', default: '8' },
      only: { type: 'string', default: parts.join(',') },
      arms: { type: 'string' },
      out: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
      'soak-minutes': { type: 'string', default: '10' },
      'idle-connections': { type: 'string', default: '10000' },
      'millrace-command': { type: 'string' },
    },
  })
  const only = values.only.split(',')
  const wrong = only.find((name) => !(parts as readonly string[]).includes(name))
  if (wrong !== undefined) throw new Error(`--only: unknown part "${wrong}"; there are ${parts.join(', ')}`)
  return {
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    warmup: positive('warmup', values.warmup),
    only: parts.filter((name) => only.includes(name)),
    arms: values.arms?.split(','),
    out: values.out,
    seed: positive('seed', values.seed),
    soakMinutes: positive('soak-minutes', values['soak-minutes']),
    idleConnections: positive('idle-connections', values['idle-connections']),
    millraceCommand: values['millrace-command']?.split(' ') ?? defaultMillraceCommand,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name}: a number above 0 expected, not "${text}"`)
  return value
}
