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

export interface Wanted {
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>
  /** What is waited for, in place of 200. */
  readonly status?: number
  /** First lines of bodies whose answers are not the ones that are waited for, whatever their status. */
  readonly except?: RegExp
  readonly timeoutMs?: number
}

/** It is up, and answers otherwise than was waited for. */
export class OtherStatusError extends Error {
  readonly status: number
  /** First line of its body. */
  readonly text: string
  /** What its log says of that. */
  reason: string | undefined

  constructor(message: string, { status, text }: Answer) {
    super(message)
    this.status = status
    this.text = text
    this.reason = undefined
  }
}

interface Answer {
  /** 0: none. */
  readonly status: number
  readonly text: string
}

/** So often the same other status is no beginning any more; longer where a proxy may not have found its backend yet. */
const steadyAnswers = 5
const steadyFailures = 40
const isFailure = (status: number): boolean => status >= 502 && status <= 504

/**
 * Waits until the URL answers 200.
 *
 * @throws OtherStatusError as soon as it is clear that it answers otherwise; the process's own words when it exits or stays silent
 */
export async function waitUntilReady(
  started: Started,
  url: string,
  { headers = {}, status: wanted = 200, except, timeoutMs = 20_000 }: Wanted = {},
): Promise<void> {
  let exited = false
  started.exited.then(() => {
    exited = true
  })
  const deadline = performance.now() + timeoutMs
  let before = 0
  let times = 0
  while (performance.now() < deadline) {
    if (exited) throw new Error(`${started.name} exited before it was ready:\n${started.output()}`)
    const answer = await ask(url, headers)
    if (answer.status === wanted && !except?.test(answer.text)) return
    times = answer.status === before ? times + 1 : 1
    before = answer.status
    if (before > 0 && times >= (isFailure(before) ? steadyFailures : steadyAnswers)) {
      const words = `${started.name} answers ${before}, not ${wanted}, at ${url}`
      throw new OtherStatusError(answer.text === '' ? words : `${words}: ${answer.text}`, answer)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(
    `${started.name} gave no ${wanted} for ${url} in ${timeoutMs / 1000} s:\n${started.output()}`,
  )
}

/** Of the first line of a body so much is told. */
const longestText = 200

function ask(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve) => {
    const options = { agent: false, timeout: 2_000, headers } as const
    const answered = (response: IncomingMessage): void => {
      let text = ''
      response.setEncoding('latin1').on('data', (piece: string) => {
        if (text.length < longestText) text += piece
      })
      response.once('close', () => {
        const [line] = text.slice(0, longestText).split('\n')
        resolve({ status: response.statusCode ?? 0, text: line.trim() })
      })
    }
    // The certificate is one of a test: whether the arm answers is asked, not who it is.
    const sent = url.startsWith('https:')
      ? requestTls(url, { ...options, rejectUnauthorized: false }, answered)
      : request(url, options, answered)
    sent.once('timeout', () => sent.destroy())
    sent.once('error', () => resolve({ status: 0, text: '' }))
    sent.end()
  })
}
