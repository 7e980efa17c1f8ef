import { didYouMean } from '../../core/host/did-you-mean.ts'
import { MillraceError } from '../../core/host/errors.ts'
import type { Arm } from './arm.ts'
import {
  floorArm,
  haproxy,
  httpProxyArm,
  nginx,
  nginxSameLines,
  nginxShipped,
  passthroughArm,
  replyFromArm,
} from './comparators.ts'
import { coreArm } from './core.ts'
import { millrace, millracePipelined } from './millrace.ts'

const arms: readonly Arm[] = [
  nginx,
  nginxShipped,
  nginxSameLines,
  haproxy,
  millrace,
  millracePipelined,
  coreArm,
  floorArm,
  passthroughArm,
  httpProxyArm,
  replyFromArm,
]

export const armNames: readonly string[] = arms.map(({ name }) => name)

/** Throws a message for the user when there is no such arm. */
export function findArm(name: string): Arm {
  const arm = arms.find((candidate) => candidate.name === name)
  if (arm !== undefined) return arm
  const hint = didYouMean(name, armNames) || ';'
  throw new MillraceError('MR_USAGE', `unknown arm "${name}"${hint} there are ${armNames.join(', ')}`)
}

export function armTitle(name: string): string {
  return arms.find((arm) => arm.name === name)?.title ?? name
}
