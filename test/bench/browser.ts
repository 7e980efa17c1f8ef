/** A real browser without a network, for what a report looks like and does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BrowserContext, chromium, type Page } from 'playwright-core'

const switches = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface View {
  /** Pixels of the page. */
  readonly width: number
  readonly dark?: boolean
}

/** What is open until `close`. */
export class Browser {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'millrace-browser-'))
  #context: BrowserContext | undefined
  /** Of every page: what it asked for besides itself. */
  readonly requests: string[] = []
  /** Of every page: errors of its scripts, and what the console shows as one. */
  readonly errors: string[] = []

  async start(): Promise<void> {
    this.#context = await chromium.launchPersistentContext(path.join(this.#directory, 'user'), {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: switches,
    })
    await this.#context.route('**/*', (route) => {
      const url = route.request().url()
      if (url.startsWith('file:') || url === 'about:blank') return route.continue()
      return route.abort()
    })
  }

  /** Opens a document as a file of its own. */
  async open(content: string, view: View, extension = 'html'): Promise<Page> {
    const file = path.join(this.#directory, `page.${extension}`)
    writeFileSync(file, content)
    const page = await this.#context!.newPage()
    page.on('request', (request) => {
      const url = request.url()
      if (url !== pathToFileURL(file).href && !url.startsWith('data:')) this.requests.push(url)
    })
    page.on('pageerror', (error) => this.errors.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text())
    })
    await page.setViewportSize({ width: view.width, height: 900 })
    await page.emulateMedia({ colorScheme: view.dark ? 'dark' : 'light' })
    await page.goto(pathToFileURL(file).href, { waitUntil: 'load' })
    return page
  }

  async close(): Promise<void> {
    await this.#context?.close()
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
