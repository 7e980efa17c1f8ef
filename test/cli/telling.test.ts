import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tellFailure, UsageError } from '../../cli/failure.ts'
import { createLog, type LogFormat } from '../../cli/log.ts'
import { portOwner } from '../../cli/port-owner.ts'
import type { Terminal } from '../../cli/terminal.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { listenerError } from '../../core/host/listen-error.ts'

function terminalWith(lines: string[]): Terminal {
  const err = (text: string): void => void lines.push(text)
  return { out: err, err, style: (_style, text) => text, env: {}, directory: '/' }
}

describe('log', () => {
  const write = (format: LogFormat) => {
    const lines: string[] = []
    const wall = () => new Date(2026, 0, 2, 3, 4, 5).getTime()
    const log = createLog({ format, level: 'info', terminal: terminalWith(lines), wall })
    log.debug('not shown')
    log.info('config applied', { revision: 2, reason: 'a b', absent: undefined })
    log.error('failed', { stack: 'Error: x\n    at y' })
    log.error('refused\nlb.yaml:4:1', { code: 'MR_X' })
    return lines
  }

  test('pretty: time, level, message, fields; a stack and further lines of the message stand below', () => {
    expect(write('pretty')).toEqual([
      '03:04:05 info  config applied revision=2 reason="a b"',
      '03:04:05 error failed\n               Error: x\n                   at y',
      '03:04:05 error refused code=MR_X\n               lb.yaml:4:1',
    ])
  })

  test('json: one object a line', () => {
    const lines = write('json').map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toMatchObject([
      { level: 30, msg: 'config applied', revision: 2, reason: 'a b' },
      { level: 50, msg: 'failed' },
      { level: 50, code: 'MR_X' },
    ])
    expect(Object.keys(lines[0])).not.toContain('hostname')
  })
})

describe('failure', () => {
  const tell = (error: unknown) => {
    const lines: string[] = []
    const status = tellFailure(error, terminalWith(lines), (port) => ({
      pid: 7,
      command: `owner-of-${port}`,
    }))
    return { status, text: lines.join('\n') }
  }

  const at = { name: 'web', host: '127.0.0.1', port: 8080, socketPath: '' }
  const cause = (code: string, errno: number, text: string): Error =>
    Object.assign(new Error(`listen ${code}: ${text} 127.0.0.1:8080`), { code, errno })

  test('a busy port names who holds it, once, and ends with status 1', () => {
    const { status, text } = tell(listenerError(at, cause('EADDRINUSE', -98, 'address already in use')))
    expect(status).toBe(1)
    expect(text).toBe(
      'millrace: MR_LISTEN listener web: 127.0.0.1:8080 is in use by pid 7 (owner-of-8080); end that, or listen elsewhere',
    )
  })

  test.each([
    [
      'EACCES',
      -13,
      'permission denied',
      /8080 may not be bound by this user \(EACCES\); ports below 1024 need/,
    ],
    [
      'EADDRNOTAVAIL',
      -99,
      'address not available',
      /8080 is not an address of this machine \(EADDRNOTAVAIL\); to/,
    ],
    ['EMFILE', -24, 'too many open files', /8080 cannot be bound: too many open files \(EMFILE\)$/],
  ])('%s: address, cause and code are told once', (code, errno, said, expected) => {
    const { text } = tell(listenerError(at, cause(code, errno, said)))
    expect(text).toMatch(expected)
    for (const part of [code, '127.0.0.1:8080']) expect(text.split(part)).toHaveLength(2)
    expect(text).not.toContain('\n')
  })

  test('a busy socket path says how to find who holds it', () => {
    const error = listenerError({ ...at, socketPath: '/run/lb.sock' }, cause('EADDRINUSE', -98, 'in use'))
    expect(tell(error).text).toBe(
      'millrace: MR_LISTEN listener web: /run/lb.sock is in use by another process (EADDRINUSE); to see which: lsof /run/lb.sock',
    )
  })

  test('what the config or the command line can mend ends with status 2', () => {
    expect(tell(new MillraceError('MR_PLUGIN_CREATE', 'threw'))).toMatchObject({ status: 2 })
    expect(tell(new UsageError('say which'))).toEqual({ status: 2, text: 'millrace: say which' })
  })

  test('an unexpected error shows its stack', () => {
    expect(tell(new TypeError('x is not y'))).toMatchObject({
      status: 1,
      text: expect.stringMatching(/\n +at /),
    })
  })
})

test.runIf(process.platform === 'linux')('the owner of a port is found by pid and name', async () => {
  const server = net.createServer()
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  expect(portOwner(port)).toMatchObject({ pid: process.pid, command: 'node' })
  await new Promise((resolve) => server.close(resolve))
  expect(portOwner(port)).toBeUndefined()
})
