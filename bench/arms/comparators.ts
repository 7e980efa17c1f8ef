import { fileURLToPath } from 'node:url'
import { ownModule } from '../own-module.ts'
import { type BenchPackage, packageUrl } from '../packages.ts'
import { type Arm, type ArmContext, simpleArm } from './arm.ts'

const largeBuffers = fileURLToPath(new URL('./nginx-large-buffers.conf', import.meta.url))
const sameLines = fileURLToPath(new URL('./nginx-same-lines.conf', import.meta.url))
/** Includes nothing. */
const none = '/dev/null'

/** A line for each backend. */
function servers(
  { backendHosts = ['127.0.0.1'], backendPort }: Pick<ArmContext, 'backendHosts' | 'backendPort'>,
  line: (address: string, at: number) => string,
): string {
  return backendHosts.map((host, at) => line(`${host}:${backendPort}`, at + 1)).join('\n  ')
}

function nginxArm(name: string, title: string, buffers: string, lines: string): Arm {
  return simpleArm(
    name,
    title,
    ({ config, context }) => ['nginx', '-p', context.directory, '-e', 'stderr', '-c', config],
    {
      file: './nginx.conf',
      abilities: ['tls', 'backends'],
      values: ({ tls, ...context }) => ({
        ...{ BUFFERS: buffers, LINES: lines },
        SERVERS: servers(context, (address) => `server ${address};`),
        LISTEN: tls ? 'ssl' : '',
        // Its default of old is TLS 1.2; the others speak 1.3.
        CERTIFICATE: tls
          ? `ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile}; ssl_protocols TLSv1.2 TLSv1.3;`
          : '',
      }),
    },
  )
}

export const nginx: Arm = nginxArm('nginx', 'nginx', largeBuffers, none)

/** With the buffers that nginx is shipped with. */
export const nginxShipped: Arm = nginxArm('nginx-shipped', 'nginx, shipped buffers', none, none)

/** Adds the header lines that Millrace adds by default. */
export const nginxSameLines: Arm = nginxArm(
  'nginx-same-lines',
  'nginx, same header lines',
  largeBuffers,
  sameLines,
)

export const haproxy: Arm = simpleArm(
  'haproxy',
  'HAProxy',
  ({ config }) => ['haproxy', '-db', '-f', config],
  {
    file: './haproxy.cfg',
    abilities: ['tls', 'backends'],
    values: ({ tls, ...context }) => ({
      SERVERS: servers(context, (address, at) => `server s${at} ${address} pool-max-conn 256`),
      TLS: tls ? `ssl crt ${tls.bundleFile}` : '',
    }),
  },
)

/** An arm in a script of ours, run as `node SCRIPT PORT BACKEND-PORT`, and behind it the URL of the package that it is about. */
function scriptArm(name: string, title: string, script: string, about?: BenchPackage): Arm {
  const path = fileURLToPath(ownModule(script, import.meta.url))
  return simpleArm(name, title, ({ port, context }) => [
    process.execPath,
    '--no-deprecation',
    path,
    String(port),
    String(context.backendPort),
    ...(about === undefined ? [] : [packageUrl(about)]),
  ])
}

export const floorArm: Arm = scriptArm('floor', 'node:net, bytes unread', './floor')

export const passthroughArm: Arm = scriptArm('passthrough', 'node:http + undici', './passthrough')

export const httpProxyArm: Arm = scriptArm('http-proxy', 'http-proxy', './http-proxy', 'http-proxy')

export const replyFromArm: Arm = scriptArm(
  'reply-from',
  '@fastify/reply-from',
  './reply-from',
  '@fastify/reply-from',
)
