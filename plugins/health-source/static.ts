import { definePlugin, z } from 'millrace'

/** The same URL however it is written: `http://HOST/` is `http://host`. */
function sameForm(url: string): string {
  return URL.canParse(url) && !url.startsWith('unix:') ? new URL(url).origin : url
}

/** Health as the config says it: every backend is up but those named. Takes effect at once. */
export default definePlugin({
  api: 1,
  kind: 'health-source',
  name: 'static',
  description: 'Health as the config says it.',
  options: z.strictObject({
    down: z.array(z.string()).default([]).describe('URLs of the backends that are down'),
  }),
  create(context, { down }) {
    const urls = new Set(down.map(sameForm))
    return {
      update(targets) {
        for (const { id, url } of targets) {
          if (urls.has(sameForm(url))) context.set(id, { up: false, reason: 'down in the config' })
          else context.set(id, { up: true })
        }
      },
    }
  },
})
