/** How many may be connected to the API. */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { apiOf } from './harness.ts'

test('512 may be connected; one more is closed, and when others leave there is room', async () => {
  const api = await apiOf()
  let closed = 0
  const sockets = Array.from({ length: 520 }, () => {
    const socket = connect(api.server.port, api.server.address)
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => {
      closed++
    })
    socket.resume()
    return socket
  })
  await until('the rest are closed', () => closed === 8)
  const ask = (): Promise<number | undefined> =>
    api.ask('GET', '/v1/nodes').then(
      ({ status }) => status,
      () => undefined,
    )
  expect(await ask()).toBeUndefined()
  for (const socket of sockets.slice(0, 500)) socket.destroy()
  // The server hears of it a little later.
  let status = await ask()
  while (status === undefined) status = await ask()
  expect(status).toBe(200)
})
