/** The OpenAPI document, made from the schemas of the routes. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'

const description = `What is done to a fleet of LB servers goes through its config store. Every change is a compare-and-set on
top of a revision; a config that an LB server would refuse is not written. Errors have one form (Error), with the path of the mistake.`

/** Before any route; the document is served at `/openapi.json`, without a token: it tells nothing of this fleet. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Millrace LB API', description, version },
      tags: [
        { name: 'config', description: 'Routes, services and filters as a whole' },
        { name: 'services', description: 'Services and backends as resources' },
        { name: 'overrides', description: 'Breakers and drains, apart from the config' },
        { name: 'nodes', description: 'LB servers' },
        { name: 'events', description: 'What happens' },
        { name: 'audit', description: 'Who has changed what' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    // Components are called as the schemas are.
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `Schema${index}`),
    },
  })
  app.get('/openapi.json', { config: { open: true }, schema: { hide: true } }, () => app.swagger())
}
