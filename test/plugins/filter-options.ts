/** For each built-in filter options with which it has something to do: what its micro bench runs, and what tests of all
 * filters start from. */
export const filterOptions: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  // The password is `secret`. Far cheaper than a real hash.
  'basic-auth': {
    users: {
      ann: '$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$punalsgLVDmabDdlbwVieUjVAmz5/abwyjX3gfy3Xlo',
    },
  },
  'body-limit': { limit: '1MiB' },
  'cache-control': { force: 'no-store' },
  canary: { to: 'other', share: '5%', key: 'client-ip' },
  compress: {},
  headers: {
    request: { remove: ['x-internal'], set: { 'X-Tenant': 'a' }, append: { 'X-List': ['b', 'c'] } },
    response: { remove: ['x-internal'], set: { 'X-Tenant': 'a' }, append: { 'X-List': ['b', 'c'] } },
  },
  'ip-access': {
    allow: Array.from({ length: 256 }, (_, i) => `10.${i}.0.0/16`).concat('2001:db8::/32', '203.0.113.0/24'),
    deny: ['10.7.7.0/24'],
  },
  jwt: {
    keys: [{ kty: 'oct', kid: 'a', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' }],
    algorithms: ['HS256'],
    claims: { sub: 'X-User' },
  },
  mirror: { to: 'other', share: '1%' },
  'rate-limit': { rate: '100000/s', burst: 1_000_000 },
  'request-id': { response: true },
  'sticky-cookie': { secrets: 'a secret of some length' },
  rewrite: { replacePrefix: { from: '/', to: '/v2' } },
}
