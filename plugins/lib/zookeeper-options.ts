/** How the ensemble is reached: the options, and what is read out of the URL. */
import { duration, z } from 'millrace'

const defaultUrl = 'zookeeper://127.0.0.1:2181'
const defaultPath = '/millrace'
const defaultPort = 2181
const urlPattern = /^zookeeper:\/\/(?:([^@/\s]*)@)?([^@/\s]+)(\/\S*)?$/i
const serverPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@,]+))(?::(\d{1,5}))?$/
const segmentPattern = /^(?!\.\.?$)[A-Za-z0-9._-]+$/

export interface Server {
  /** A name or an IP address. */
  readonly host: string
  readonly port: number
}

export interface Target {
  readonly servers: readonly Server[]
  /** The node that all fleets lie under: `/millrace`. */
  readonly base: string
  readonly login: { readonly user: string; readonly password: string } | undefined
  /** For messages: without the password. */
  readonly place: string
}

export const zookeeperOptions = z
  .strictObject({
    /**
     * The servers, and the node that the fleets lie under: zookeeper://[user:password@]host:port[,host:port…][/node]. Default
     * zookeeper://127.0.0.1:2181/millrace.
     */
    url: z
      .string()
      .refine((text) => partsOf(text) !== undefined, 'expected zookeeper://host:port,host:port/node')
      .meta({ writeOnly: true })
      .optional(),
    /** Digest authentication. With it nobody else may read or change what is stored. */
    username: z
      .string()
      .regex(/^[^:\s]+$/, 'expected a name without colon and space')
      .optional(),
    password: z.string().min(1).meta({ writeOnly: true }).optional(),
    /** How long a call may take before it is given up. */
    timeout: duration.refine((ms) => ms >= 100 && ms <= 60_000, 'timeout is 100ms to 1m').prefault('5s'),
  })
  .superRefine(({ url, username, password }, context) => {
    const problem = (field: string, message: string): void =>
      context.addIssue({ code: 'custom', message, path: [field] })
    if ((username === undefined) !== (password === undefined))
      problem(username === undefined ? 'username' : 'password', 'expected `username` and `password` together')
    if (username !== undefined && partsOf(url ?? defaultUrl)?.login !== undefined)
      problem('username', 'expected the credentials in `url` or as options, not both')
  })

export type ZookeeperOptions = z.output<typeof zookeeperOptions>

export function targetOf({ url = defaultUrl, username, password }: ZookeeperOptions): Target {
  const parts = partsOf(url)
  // The options were checked.
  if (!parts) throw new TypeError('the URL of the store cannot be read')
  const { servers, base, login } = parts
  const shown = servers.map(({ host, port }) =>
    host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
  )
  return {
    servers,
    base,
    login: username !== undefined && password !== undefined ? { user: username, password } : login,
    place: `zookeeper://${shown.join(',')}${base}`,
  }
}

type Parts = Pick<Target, 'servers' | 'base' | 'login'>

function partsOf(text: string): Parts | undefined {
  const [, user, hosts, path = '/'] = urlPattern.exec(text) ?? []
  if (hosts === undefined) return undefined
  const servers = hosts.split(',').map(serverOf)
  const login = user === undefined ? undefined : loginOf(user)
  const segments = path.replace(/\/$/, '').split('/').slice(1)
  if (!servers.every((server) => server !== undefined) || login === null) return undefined
  // `/zookeeper` is its own.
  if (!segments.every((segment) => segmentPattern.test(segment)) || segments[0] === 'zookeeper')
    return undefined
  return { servers, base: segments.length === 0 ? defaultPath : `/${segments.join('/')}`, login }
}

function serverOf(text: string): Server | undefined {
  const [whole, address, name, port] = serverPattern.exec(text) ?? []
  const number = port === undefined ? defaultPort : Number(port)
  if (whole === undefined || number < 1 || number > 65_535) return undefined
  return { host: address ?? name, port: number }
}

/** `null`: it cannot be read. */
function loginOf(text: string): { user: string; password: string } | null {
  const [, user, password] = /^([^:]+):(.+)$/.exec(text) ?? []
  if (user === undefined) return null
  try {
    return { user: decodeURIComponent(user), password: decodeURIComponent(password) }
  } catch {
    return null
  }
}
