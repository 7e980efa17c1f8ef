import { protectedFields, z } from 'millrace'

/** A field name that a filter may write: a token (RFC 9110 §5.1) that is not the core's, which would refuse the write in the
 * middle of an exchange. */
export const fieldName = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'a header name must be a token: letters, digits and -')
  .refine((name) => !protectedFields.has(name.toLowerCase()), {
    error: ({ input }) =>
      `${input} belongs to the core (connection, framing, forwarding) and cannot be written`,
  })

/** A field value: no control characters but tab (RFC 9110 §5.5), no blank ends; characters up to U+00FF. */
export const fieldValue = z
  .string()
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'a header value must hold no control characters, and none above U+00FF')
  .regex(/^(?![ \t])(.*[^ \t])?$/, 'a header value must not begin or end with a blank')

/** Fields by name. A schema for the keys of the record would only say that a key is invalid, not why. */
export const fields = <V extends z.ZodType>(value: V) =>
  z.record(z.string(), value).superRefine((record, context) => {
    for (const name of Object.keys(record)) {
      for (const { message } of fieldName.safeParse(name).error?.issues ?? []) {
        context.addIssue({ code: 'custom', message, path: [name] })
      }
    }
  })
