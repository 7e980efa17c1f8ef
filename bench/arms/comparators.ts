import { fileURLToPath } from 'node:url'
import { type Arm, simpleArm } from './arm.ts'

const passthrough = fileURLToPath(new URL('./passthrough.ts', import.meta.url))
const httpProxy = fileURLToPath(new URL('./http-proxy.ts', import.meta.url))

export const nginx: Arm = simpleArm(
  'nginx',
  'nginx',
  ({ config, context }) => ['nginx', '-p', context.directory, '-e', 'stderr', '-c', config],
  './nginx.conf',
)

/** With the buffers that nginx is shipped with. */
export const nginxShipped: Arm = simpleArm(
  'nginx-shipped',
  'nginx, shipped buffers',
  ({ config, context }) => ['nginx', '-p', context.directory, '-e', 'stderr', '-c', config],
  './nginx-shipped.conf',
)

export const haproxy: Arm = simpleArm(
  'haproxy',
  'HAProxy',
  ({ config }) => ['haproxy', '-db', '-f', config],
  './haproxy.cfg',
)

export const passthroughArm: Arm = simpleArm('passthrough', 'node:http + undici', ({ port, context }) => [
  process.execPath,
  passthrough,
  String(port),
  String(context.backendPort),
])

export const httpProxyArm: Arm = simpleArm('http-proxy', 'http-proxy', ({ port, context }) => [
  process.execPath,
  '--no-deprecation',
  httpProxy,
  String(port),
  String(context.backendPort),
])
