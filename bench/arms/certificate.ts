/** The certificate that arms show in TLS scenarios: made for each run by `openssl`, as those of the tests are. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCertificateAuthority } from '../fixtures/certificates.ts'
import type { TlsFiles } from './arm.ts'

/** Throws when there is no `openssl`. The files go with the directory. */
export function makeCertificate(directory: string): TlsFiles {
  using authority = createCertificateAuthority()
  const { cert, key } = authority.server(['127.0.0.1', 'localhost'])
  const write = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  return {
    certFile: write('certificate.pem', cert),
    keyFile: write('key.pem', key),
    bundleFile: write('bundle.pem', `${cert}${key}`),
  }
}
