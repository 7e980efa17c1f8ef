/** TLS to https backends: verified unless the config says otherwise. */
import net from 'node:net'
import tls from 'node:tls'
import type { BackendConfig, ServiceConfig } from '../config/snapshot.ts'

/** Options of `tls.connect` for a backend; undefined for plain ones. The context is built once and shared. */
export function backendTlsOptions(
  backend: BackendConfig,
  config: ServiceConfig['tls'],
): tls.ConnectionOptions | undefined {
  if (backend.protocol !== 'https') return undefined
  const name = config.serverName ?? (net.isIP(backend.host) ? undefined : backend.host)
  return {
    secureContext: tls.createSecureContext({ ca: config.ca, cert: config.cert, key: config.key }),
    rejectUnauthorized: config.verify,
    // An address is not a server name (RFC 6066 §3), but it is what the certificate is checked against.
    servername: name ?? '',
    ...(name === undefined && config.verify
      ? {
          checkServerIdentity: (_: string, cert: tls.PeerCertificate) =>
            tls.checkServerIdentity(backend.host, cert),
        }
      : {}),
    ALPNProtocols: ['http/1.1'],
  }
}
