import type { Arm } from './arm.ts'
import {
  floorArm,
  haproxy,
  httpProxyArm,
  nginx,
  nginxSameLines,
  nginxShipped,
  passthroughArm,
} from './comparators.ts'
import { millrace, millracePipelined } from './millrace.ts'

const arms: readonly Arm[] = [
  nginx,
  nginxShipped,
  nginxSameLines,
  haproxy,
  millrace,
  millracePipelined,
  floorArm,
  passthroughArm,
  httpProxyArm,
]

/** Throws a message for the user when there is no such arm. */
export function findArm(name: string): Arm {
  const arm = arms.find((candidate) => candidate.name === name)
  if (arm === undefined)
    throw new Error(`unknown arm "${name}"; there are ${arms.map((a) => a.name).join(', ')}`)
  return arm
}

export function armTitle(name: string): string {
  return arms.find((arm) => arm.name === name)?.title ?? name
}
