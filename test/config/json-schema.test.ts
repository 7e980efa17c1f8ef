import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { bootstrapChanges } from '#core/config/bootstrap-diff'
import type { PluginCatalog } from '#core/config/catalog'
import { defineConfig } from '#core/config/define'
import { configJsonSchema } from '#core/config/json-schema'
import { duration } from '#core/config/units'
import { load, web } from './load-text.ts'

const catalog: PluginCatalog = {
  names: (kind) => (kind === 'circuit-breaker' ? ['error-rate', 'foreign'] : []),
  validateOptions: () => [],
  jsonSchema: (_kind, name) =>
    name === 'foreign'
      ? undefined
      : z.toJSONSchema(z.strictObject({ window: duration, open: duration.prefault('30s') }), { io: 'input' }),
}

describe('JSON Schema', () => {
  const schema = JSON.parse(JSON.stringify(configJsonSchema(catalog)))

  test('knows the keys of the file and of a service, and refuses others', () => {
    expect(Object.keys(schema.properties)).toEqual(
      expect.arrayContaining(['listeners', 'routes', 'services']),
    )
    expect(schema).toMatchObject({ additionalProperties: false, required: ['listeners'] })
    expect(schema.properties.services.additionalProperties).toMatchObject({
      additionalProperties: false,
      required: ['backends'],
      properties: { timeouts: { properties: { connect: { type: 'string', default: '1s' } } } },
    })
  })

  test('holds the names and the options of the loaded plugins, with the slot keys', () => {
    const [words, errorRate, foreign] = schema.definitions['circuit-breaker'].anyOf
    expect(words).toEqual({ enum: ['error-rate', 'foreign', 'off', false] })
    expect(errorRate).toMatchObject({
      properties: { use: { const: 'error-rate' }, window: { type: 'string' }, open: { default: '30s' } },
      required: ['use', 'window'],
      additionalProperties: false,
    })
    expect(foreign).toEqual({
      type: 'object',
      properties: { use: { const: 'foreign' }, fallback: expect.anything() },
      required: ['use'],
    })
    expect(foreign.properties.fallback.anyOf).toHaveLength(2)
  })

  test('leads nowhere outside itself', () => {
    const references = JSON.stringify(schema).match(/"\$ref":"[^"]+"/g) ?? []
    expect(references.length).toBeGreaterThan(0)
    for (const reference of references) {
      const name = /#\/definitions\/([\w-]+)/.exec(reference)?.[1] ?? ''
      expect(Object.keys(schema.definitions)).toContain(name)
    }
  })
})

test('changes of fleet, node, admin and probing need a restart, others do not', async () => {
  const { bootstrap } = await load(web)
  const next = await load(
    `${web}fleet: b\nfleetKey: a secret of the fleet\nnode: { id: x, threads: 2, data: /d, advertise: a }\nadmin: { address: "127.0.0.1:1" }\nprobing: orchestrator\n`,
  )
  expect(bootstrapChanges(bootstrap, next.bootstrap)).toEqual([
    'fleet',
    'fleetKey',
    'node.id',
    'node.threads',
    'node.data',
    'node.advertise',
    'admin',
    'probing',
  ])
  const live = await load(
    `${web}limits: { fields: 5 }\nservices: { a: { backends: [] } }\nplugins: ["@acme/x"]\n`,
  )
  expect(bootstrapChanges(bootstrap, live.bootstrap)).toEqual([])
})

test('defineConfig gives back what it is given', () => {
  const config = {
    listeners: { web: { address: '127.0.0.1:0' } },
    services: { a: { backends: [], algorithm: 'x' } },
  }
  expect(defineConfig(config)).toBe(config)
})
