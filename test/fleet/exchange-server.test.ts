/** What those who have proven nothing can make the server of exchanges hold. */
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { ExchangeServer } from '../../core/fleet/exchange-server.ts'
import { Shares } from '../../core/fleet/shares.ts'
import { freeNodePort } from '../harness/fleet.ts'
import { until } from '../harness/until.ts'

const mebibyte = 1024 * 1024

async function serve() {
  const at = { host: '127.0.0.1', port: await freeNodePort() }
  const received: number[] = []
  const server = new ExchangeServer({
    at,
    receive: async (bytes) => {
      received.push(bytes.length)
      return Buffer.from('yes')
    },
  })
  onTestFinished(() => server.close())
  await server.open()
  return { at, received }
}

/** One that sends as it likes. `text` is what it was answered. */
class Sender {
  readonly socket: Socket
  text = ''
  closed = false

  /** @param from address of this machine that it calls from */
  constructor({ host, port }: { host: string; port: number }, from = '127.0.0.1') {
    this.socket = connect({ host, port, localAddress: from })
    onTestFinished(() => void this.socket.destroy())
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString()
    })
  }

  post(length: number, body: Buffer): this {
    this.socket.write(`POST /fleet HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
    this.socket.write(body)
    return this
  }

  get status(): string {
    return this.text.slice(9, 12)
  }
}

/** What was given up is known to the server only when it hears of it. */
async function untilAnswered(send: () => Sender): Promise<void> {
  for (;;) {
    const sender = send()
    await until('it is answered, or closed', () => sender.text !== '' || sender.closed)
    if (sender.status === '200') return
  }
}

test('a body that is announced as too long, or is so without saying, is refused before it is held', async () => {
  const { at, received } = await serve()
  const announced = new Sender(at).post(2 * mebibyte, Buffer.alloc(0))
  await until('it is refused', () => announced.status === '413')
  const silent = new Sender(at)
  silent.socket.write('POST /fleet HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n')
  silent.socket.write(Buffer.alloc(2 * mebibyte))
  await until('it is refused', () => silent.status === '413' || silent.closed)
  expect(received).toEqual([])
  const usual = new Sender(at).post(3, Buffer.from('abc'))
  await until('it is answered', () => usual.status === '200')
  expect(received).toEqual([3])
})

// Only Linux has all of 127.0.0.0/8.
test.runIf(process.platform === 'linux')(
  'one address cannot hold what the others need, and what is given back can be taken again',
  async () => {
    const { at, received } = await serve()
    // Each leaves a byte to come.
    const held = Array.from({ length: 5 }, () => new Sender(at).post(mebibyte, Buffer.alloc(mebibyte - 1)))
    await until('one of them is refused', () => held.some(({ status }) => status === '503'))
    const other = new Sender(at, '127.0.0.2').post(mebibyte, Buffer.alloc(mebibyte))
    await until('another address is answered', () => other.status === '200')
    for (const { socket } of held) socket.destroy()
    await untilAnswered(() => new Sender(at).post(mebibyte, Buffer.alloc(mebibyte)))
    expect(received).toEqual([mebibyte, mebibyte])
  },
)

test.runIf(process.platform === 'linux')(
  'one address cannot take all connections, and those it gives up are free',
  async () => {
    const { at } = await serve()
    const many = Array.from({ length: 270 }, () => new Sender(at))
    await until('the rest are closed', () => many.filter(({ closed }) => closed).length === 14)
    const other = new Sender(at, '127.0.0.2').post(1, Buffer.from('x'))
    await until('another address is answered', () => other.status === '200')
    for (const { socket } of many) socket.destroy()
    await untilAnswered(() => new Sender(at).post(1, Buffer.from('x')))
  },
)

test('shares: in all and of each; what is given back is forgotten', () => {
  const shares = new Shares({ all: 10, each: 6 })
  expect([shares.take('a', 6), shares.take('a', 1), shares.take('b', 5), shares.take('b', 4)]).toEqual([
    true,
    false,
    false,
    true,
  ])
  shares.give('a', 2)
  expect([shares.take('b', 2), shares.take('c', 1)]).toEqual([true, false])
  shares.give('a', 4)
  shares.give('b', 6)
  expect(shares.size).toBe(0)
  expect(shares.take('c', 6)).toBe(true)
})
