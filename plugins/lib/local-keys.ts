import type { JSONWebKeySet, JWK, JWTVerifyGetKey } from 'jose'
import { z } from 'millrace'

type Jose = typeof import('jose')

/** A key of the config as JWK (RFC 7517): the public half of a pair, or a shared secret. */
export const localKey = z
  .looseObject({
    kty: z.enum(['RSA', 'EC', 'OKP', 'oct']),
    kid: z.string().optional(),
    /** Of a secret: base64url. */
    k: z.string().optional().meta({ writeOnly: true }),
  })
  .refine(
    (key) => key.kty === 'oct' || !('d' in key),
    'only the public half of a key belongs here: leave out `d`',
  )
  // RFC 7518 §3.2: at least as long as the hash.
  .refine(
    (key) => key.kty !== 'oct' || Buffer.from(key.k ?? '', 'base64url').length >= 32,
    'a secret has 32 bytes at least, in `k` as base64url',
  )

/** Chooses among these keys: secrets for HS…, public keys for all else, so that no public key ever serves as a secret. */
export function localKeys(keys: readonly z.output<typeof localKey>[], jose: Jose): JWTVerifyGetKey {
  const open = jose.createLocalJWKSet({
    keys: keys.filter(({ kty }) => kty !== 'oct') as JWK[],
  } as JSONWebKeySet)
  const secrets = keys
    .filter(({ kty }) => kty === 'oct')
    .map(({ kid, k }) => ({ kid, bytes: new Uint8Array(Buffer.from(k ?? '', 'base64url')) }))
  return (header, token) => {
    if (!header.alg.startsWith('HS')) return open(header, token)
    const fitting = secrets.filter(({ kid }) => header.kid === undefined || header.kid === kid)
    if (fitting.length === 0) throw new jose.errors.JWKSNoMatchingKey()
    if (fitting.length === 1) return fitting[0].bytes
    // As a key set does it: whoever verifies tries one after the other.
    throw Object.assign(new jose.errors.JWKSMultipleMatchingKeys(), {
      async *[Symbol.asyncIterator]() {
        for (const { bytes } of fitting) yield bytes
      },
    })
  }
}
