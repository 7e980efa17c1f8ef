/**
 * The way between the package's client and a server, with the client's end in our hand. Its socket is inherited by every process that this
 * one starts. When the client closes it, as it does when a server goes away, it is still open there, the event loop still hears of it, and as
 * it cannot be told to stop, it goes round for ever. So the client is only ever connected to us: it hears nothing of a server that
 * has gone, and lets go of its socket when we tell it to.
 */
import { connect, createServer, type Socket } from 'node:net'
import type { Client } from './zookeeper-driver.ts'

/** Not to be understood as a server: from then on the client looks at its socket once more, and stops. */
const nobody = 'nobody'
/** No address of ours (ports do not count): who is sent there gives up the connection that it has, at once. To close one that is
 * connected waits for the server, with the whole process. */
const nowhere = '127.255.255.254:1'

export class Pipe {
  readonly #client: Client
  readonly #upstream: Socket
  readonly #accepting = createServer({ noDelay: true })
  #local: Socket | undefined
  /** The client has let go of its end by itself. */
  #released = false
  #closing: Promise<void> | undefined
  /** Bytes from the server so far. */
  heard = 0

  /** @param lost is called once, where the way ends by itself */
  constructor(client: Client, host: string, port: number, lost: (why: string) => void) {
    this.#client = client
    let failure = ''
    this.#upstream = connect({ host, port, noDelay: true })
    this.#upstream.on('error', (error) => {
      failure = `: ${error.message}`
    })
    this.#upstream.on('close', () => lost(`the connection was lost${failure}`))
    this.#accepting.on('error', (error) => lost(`there is no way to the client: ${error.message}`))
    this.#accepting.once('connection', (local) => this.#join(local, lost))
  }

  /** @param begin connects the client, to this address */
  ready(begin: (address: string) => void): void {
    this.#upstream.once('connect', () =>
      this.#accepting.listen(0, '127.0.0.1', () => {
        const address = this.#accepting.address()
        if (this.#closing || address === null || typeof address === 'string') return
        begin(`127.0.0.1:${address.port}`)
      }),
    )
  }

  /** The client says that it has let go; here that is not to be seen while another process holds its end. */
  released(): void {
    this.#released = true
  }

  /** Resolves when nothing is left of it, nor of the client. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #join(local: Socket, lost: (why: string) => void): void {
    this.#accepting.close()
    this.#local = local
    const upstream = this.#upstream
    local.on('error', () => {})
    local.on('close', () => {
      this.#released = true
      lost('the client has closed the connection')
    })
    local.on('data', (chunk) => {
      if (!upstream.write(chunk)) local.pause()
    })
    upstream.on('drain', () => local.resume())
    upstream.on('data', (chunk) => {
      this.heard += chunk.length
      if (!this.#closing && !local.write(chunk)) upstream.pause()
    })
    local.on('drain', () => upstream.resume())
  }

  async #close(): Promise<void> {
    this.#upstream.destroy()
    this.#client.set_servers(nobody)
    // One that has just connected is accepted first.
    await turn()
    await turn()
    // No message begins so short: it looks, and would wait for the rest.
    if (!this.#released) this.#local?.write(Buffer.alloc(1))
    await turn()
    await turn()
    this.#client.set_servers(nowhere)
    this.#client.close()
    this.#accepting.close()
    if (this.#released) this.#local?.unref()
    else this.#local?.destroy()
  }
}

/** Everything that waits in the event loop has been looked at. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
