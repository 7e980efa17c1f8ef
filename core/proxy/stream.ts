/**
 * The two sides of an exchange, without a protocol: what HTTP/1.1 implements now and HTTP/2 later. A stream carries one
 * exchange at a time; it reads what to send from the exchange and tells it what has come by calling its methods.
 */

import type { ErrorCode } from '../host/errors.ts'
import type { MessageHead } from '../http1/head.ts'
import type { Exchange } from './exchange.ts'

/** What became of bytes given to `sendData`, as bits. */
export const sent = {
  /** Copied or gone: the buffer is free. */
  free: 0,
  /** Still being written from the buffer itself. */
  held: 1,
  /** Do not send more before the drain call. */
  wait: 2,
} as const

/** What holds bytes back until the end of a loop turn. */
export interface HoldsBack {
  /** Writes them; a second time it does nothing. */
  flushTurn(): void
  /** They have left, at this time (ms). */
  written(now: number): void
}

/** The side of the client. Tells the exchange: `clientData`, `clientEnd`, `clientAbort`, `clientDrain`. */
export interface ClientStream extends HoldsBack {
  /** Address of the client, for `key: client-ip`, logs and filters. */
  readonly address: string
  readonly scheme: 'http' | 'https'
  /** Name of the listener. */
  readonly listener: string
  /** The client has gone; nothing can be sent. */
  readonly gone: boolean
  /** True when a body of unknown length can be followed by more on the connection, and trailers can be sent. */
  readonly minorVersion: number
  /** Forwarding fields (X-Forwarded-*, Forwarded, Via) for the current request, each line with its CRLF. */
  forwardingLines(host: string): string
  sendInformational(head: MessageHead): void
  /** The final head: status, fields and framing are read from the exchange. It may be held back until data or `flush`. */
  sendHead(exchange: Exchange): void
  /** Body bytes [start, end). `text`: the same bytes as latin1, or empty. Returns `sent` bits. */
  sendData(bytes: Buffer, start: number, end: number, text: string): number
  /** Writes what was held back. Returns `sent` bits. */
  flush(): number
  /** The answer is complete. True: its last bytes leave at the end of this loop turn, then `exchange.answerSent` is called or
   * `clientAbort`. False: nothing is held back, and nothing was done; call `sendEnd`. */
  endSoon(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): boolean
  /** The answer is complete; what was held back of it is written. */
  sendEnd(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): void
  /** The answer was cut short after its head: the client must notice. */
  abort(): void
  /** Starts or goes on delivering the request's body. */
  resumeBody(): void
  pauseBody(): void
  /** Sends `100 Continue`, if the client waits for one: the body is wanted before a backend is asked. */
  askForBody(): void
  /** Turns into a tunnel after a 101 of the backend: from now on bytes are given to `exchange.clientData`. */
  startTunnel(exchange: Exchange): void
  /** Tunnel: the backend's side has ended. */
  endTunnel(): void
  /** The exchange is over; the object may be used for another one. */
  finished(): void
}

/** The side of the backend. Tells the exchange: `upstreamInformational`, `upstreamHead`, `upstreamData`, `upstreamEnd`,
 * `upstreamFailed`, `upstreamDrain`. */
export interface UpstreamStream {
  /** Sends the request's head; it may be held back until data, end or `flush`. */
  sendHead(exchange: Exchange): void
  /** True: go on; false: wait for the drain call. */
  sendData(bytes: Buffer, start: number, end: number): boolean
  sendEnd(exchange: Exchange, trailers: MessageHead | undefined): void
  /** The kernel does not have all yet: bytes given to `sendData` may still be read. */
  readonly unwritten: boolean
  /** Writes what was held back. False: wait for the drain call. */
  flush(): boolean
  /** As `flush`, in this turn of the event loop or at its end. */
  flushSoon(): void
  pause(): void
  resume(): void
  /** The exchange is no longer interested; the connection is not used again unless the answer was complete. */
  abort(exchange: Exchange): void
  /** Tunnel: raw bytes. */
  endTunnel(): void
}

/** Why an attempt failed, and what that allows. */
export interface AttemptFailure {
  readonly code: ErrorCode
  readonly reason: string
  /** No byte of the request was handed to a socket. */
  readonly unsent: boolean
  /** A kept-alive connection was closed without any byte of an answer. */
  readonly stale: boolean
  /** The connection ended before any byte of an answer. */
  readonly silent: boolean
  /** The attempt fell with another exchange on the same pipelined connection: it says nothing about the backend. */
  readonly bystander: boolean
}
