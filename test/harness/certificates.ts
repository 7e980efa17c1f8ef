/** Certificates for tests: a CA, a server certificate and a client certificate, made by the `openssl` command in a
 * temporary directory. EC keys: making one takes milliseconds. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificate {
  /** PEM text. */
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface CertificateAuthority extends Disposable {
  readonly directory: string
  /** PEM text of the CA, for `ca` options. */
  readonly ca: string
  readonly caFile: string
  /**
   * Makes a server certificate.
   * @param names subject alternative names: DNS names, wildcards or addresses
   */
  server(names: readonly string[]): Certificate
  /** Makes a client certificate with this common name. */
  client(name: string): Certificate
  /** Removes the directory. Idempotent. */
  dispose(): void
}

function openssl(directory: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const isAddress = (name: string): boolean => name.includes(':') || /^[\d.]+$/.test(name)

export function createCertificateAuthority(): CertificateAuthority {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-certificates-'))
  const file = (name: string): string => join(directory, name)
  let made = 0
  openssl(
    directory,
    ...['req', '-x509', ...curve, '-days', '2', '-subj', '/CN=Millrace test CA'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', 'ca.key', '-out', 'ca.pem'],
  )

  const issue = (name: string, extensions: readonly string[]): Certificate => {
    const base = `leaf-${++made}`
    writeFileSync(file(`${base}.ext`), `${extensions.join('\n')}\n`)
    openssl(
      directory,
      'req',
      '-new',
      ...curve,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${base}.key`,
      '-out',
      `${base}.csr`,
    )
    openssl(
      directory,
      ...['x509', '-req', '-in', `${base}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'],
      ...['-set_serial', String(1000 + made), '-extfile', `${base}.ext`, '-out', `${base}.pem`],
    )
    const certFile = file(`${base}.pem`)
    const keyFile = file(`${base}.key`)
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile }
  }

  const dispose = (): void => rmSync(directory, { recursive: true, force: true })
  return {
    directory,
    ca: readFileSync(file('ca.pem'), 'utf8'),
    caFile: file('ca.pem'),
    server: (names) => {
      const alternatives = names.map((name) => `${isAddress(name) ? 'IP' : 'DNS'}:${name}`)
      return issue('server', [`subjectAltName=${alternatives.join(',')}`, 'extendedKeyUsage=serverAuth'])
    },
    client: (name) => issue(name, ['extendedKeyUsage=clientAuth']),
    dispose,
    [Symbol.dispose]: dispose,
  }
}
