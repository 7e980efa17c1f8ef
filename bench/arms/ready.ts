import { type IncomingMessage, request } from 'node:http'
import { request as requestTls } from 'node:https'
import { createServer } from 'node:net'
import type { Started } from './processes.ts'

/** A port that nothing listens on, outside the range that the kernel gives to outgoing connections. */
export async function freePort(random: () => number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 12_000 + Math.floor(random() * 18_000)
    if (await isFree(port)) return port
  }
  throw new Error('no free port between 12000 and 30000 in 50 attempts')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Waits until the URL answers 200; fails with the process's own words when it exits or stays silent. */
export async function waitUntilReady(started: Started, url: string, timeoutMs = 20_000): Promise<void> {
  let exited = false
  started.exited.then(() => {
    exited = true
  })
  const deadline = performance.now() + timeoutMs
  while (performance.now() < deadline) {
    if (exited) throw new Error(`${started.name} exited before it was ready:\n${started.output()}`)
    if ((await status(url)) === 200) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${started.name} gave no 200 for ${url} in ${timeoutMs / 1000} s:\n${started.output()}`)
}

function status(url: string): Promise<number> {
  return new Promise((resolve) => {
    const options = { agent: false, timeout: 2_000 } as const
    const answered = (response: IncomingMessage): void => {
      response.resume()
      response.once('close', () => resolve(response.statusCode ?? 0))
    }
    // The certificate is one of a test: whether the arm answers is asked, not who it is.
    const sent = url.startsWith('https:')
      ? requestTls(url, { ...options, rejectUnauthorized: false }, answered)
      : request(url, options, answered)
    sent.once('timeout', () => sent.destroy())
    sent.once('error', () => resolve(0))
    sent.end()
  })
}
