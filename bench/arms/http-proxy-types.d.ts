/** The few members of `http-proxy` (which has no types of its own) that the arm uses. */
declare module 'http-proxy' {
  import type { Agent, IncomingMessage, ServerResponse } from 'node:http'
  import type { Socket } from 'node:net'

  interface ProxyServer {
    web(request: IncomingMessage, response: ServerResponse): void
    on(
      event: 'error',
      listener: (error: Error, request: IncomingMessage, response: ServerResponse | Socket) => void,
    ): void
  }
  const httpProxy: {
    createProxyServer(options: { target: string; agent: Agent; xfwd: boolean }): ProxyServer
  }
  export default httpProxy
}
