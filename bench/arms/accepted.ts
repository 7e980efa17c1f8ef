/** How many connections a backend has accepted: the same for every arm in front of it, whatever it tells of itself. */
import { request } from 'node:http'

/** `accepts` of nginx's stub_status: "server accepts handled requests", and below it three numbers. */
export function parseStubStatus(text: string): number {
  const found = /^server accepts handled requests\s+(\d+) \d+ \d+\s*$/m.exec(text)
  if (found === null) throw new Error(`stub_status: a line of three numbers expected, not "${text.trim()}"`)
  return Number(found[1])
}

/** Every call is a connection of its own, counted by the backend before it answers, and taken off. */
export function acceptedCounter(url: string, parse: (text: string) => number): () => Promise<number> {
  let asked = 0
  return async () => {
    const text = await getOnce(url)
    return parse(text) - ++asked
  }
}

function getOnce(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, timeout: 5_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.once('error', reject)
      response.once('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`${url}: status 200 expected, not ${response.statusCode}`))
      })
    })
    sent.once('timeout', () => sent.destroy(new Error(`${url}: no answer in 5 s`)))
    sent.once('error', reject)
    sent.end()
  })
}
