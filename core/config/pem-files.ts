/** PEM texts that a config names: read once, beside the config file, and checked before anything uses them. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigDocument } from './document.ts'
import type { ConfigPath } from './problems.ts'

export interface PemText {
  readonly text: string
  /** Absolute; empty for PEM text in the config itself. */
  readonly file: string
}

type PemKind = 'certificate' | 'private key'

/** A certificate (chain) and its key, or a list of roots (no key). */
export interface PemUse {
  readonly certificate: unknown
  readonly key: unknown
  readonly certificatePath: ConfigPath
  readonly keyPath: ConfigPath
}

export class PemFiles {
  private readonly read = new Map<string, PemText>()
  private readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  /** Every file that was named, also those that could not be read: they are to be watched. */
  get files(): string[] {
    return [...this.read.values()].map(({ file }) => file).filter((file) => file !== '')
  }

  /** What {@link check} has read for a value of the config. */
  get(value: string): PemText {
    return this.read.get(value) ?? { text: '', file: '' }
  }

  /** Reads and checks one use; problems go to the document. */
  async check(document: ConfigDocument, use: PemUse): Promise<void> {
    const certificate = await this.load(document, use.certificate, use.certificatePath, 'certificate')
    const key = await this.load(document, use.key, use.keyPath, 'private key')
    const parsedCertificate = certificate && parseCertificates(certificate)
    const parsedKey = key && parseKey(key)
    const wrong = (path: ConfigPath, message: string) =>
      document.report({ code: 'MR_CONFIG_FILE', message, path })
    if (certificate && !parsedCertificate) wrong(use.certificatePath, 'this holds no valid PEM certificate')
    if (key && !parsedKey) wrong(use.keyPath, 'this holds no valid, unencrypted PEM private key')
    if (parsedCertificate && parsedKey && !parsedCertificate.checkPrivateKey(parsedKey))
      wrong(use.keyPath, 'this key does not belong to the certificate')
  }

  private async load(document: ConfigDocument, value: unknown, path: ConfigPath, kind: PemKind) {
    if (typeof value !== 'string' || value === '') return undefined
    if (value.trimStart().startsWith('-----BEGIN ')) {
      this.read.set(value, { text: value, file: '' })
      return value
    }
    const file = resolve(this.directory, value)
    try {
      const text = await readFile(file, 'utf8')
      this.read.set(value, { text, file })
      return text
    } catch (cause) {
      this.read.set(value, { text: '', file })
      const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
      const message = `the ${kind} file ${document.show(path, value)} cannot be read (${reason})`
      document.report({ code: 'MR_CONFIG_FILE', message, path })
      return undefined
    }
  }
}

/** The first certificate; undefined when any of the text is malformed. */
function parseCertificates(text: string): X509Certificate | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  try {
    return blocks.map((block) => new X509Certificate(block))[0]
  } catch {
    return undefined // what is wrong inside a certificate helps nobody; the caller names the place
  }
}

function parseKey(text: string) {
  try {
    return createPrivateKey(text)
  } catch {
    return undefined // never repeat anything of a key
  }
}
