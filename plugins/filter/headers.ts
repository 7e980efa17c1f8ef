import { definePlugin, type Filter, type HeaderFields, z } from 'millrace'
import { fieldName, fields, fieldValue } from '../lib/fields.ts'

const edits = z.strictObject({
  remove: z.array(fieldName).default([]).describe('Names to remove; first of all'),
  set: fields(fieldValue).default({}).describe('Replaces every field of the name by one'),
  append: fields(z.union([fieldValue, z.array(fieldValue)]))
    .default({})
    .describe('Adds a field after those that are there; a list adds several'),
})

/** The edits of one message as flat lists: a loop over them allocates nothing. */
class Edits {
  private readonly removed: readonly string[]
  private readonly set: readonly (readonly [name: string, value: string])[]
  private readonly appended: readonly (readonly [name: string, value: string])[]

  constructor({ remove, set, append }: z.output<typeof edits>) {
    this.removed = remove
    this.set = Object.entries(set)
    this.appended = Object.entries(append).flatMap(([name, values]) =>
      [values].flat().map((value) => [name, value] as const),
    )
  }

  get any(): boolean {
    return this.removed.length + this.set.length + this.appended.length > 0
  }

  // HOT
  apply(headers: HeaderFields): void {
    for (let i = 0; i < this.removed.length; i++) headers.remove(this.removed[i])
    for (let i = 0; i < this.set.length; i++) headers.set(this.set[i][0], this.set[i][1])
    for (let i = 0; i < this.appended.length; i++) headers.append(this.appended[i][0], this.appended[i][1])
  }
}

/** Edits header fields of requests before they are forwarded, and of responses, our own answers included. */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'headers',
  description: 'Sets, appends and removes header fields of requests and responses.',
  options: z.strictObject({
    request: edits.prefault({}).describe('Edits of the request, before it is forwarded'),
    response: edits.prefault({}).describe('Edits of the answer'),
  }),
  create(_context, options) {
    const request = new Edits(options.request)
    const response = new Edits(options.response)
    const filter: Filter = {}
    if (request.any) filter.onRequest = (exchange) => request.apply(exchange.request.headers)
    if (response.any) {
      filter.onResponse = (exchange) => {
        if (exchange.response) response.apply(exchange.response.headers)
      }
    }
    return filter
  },
})
