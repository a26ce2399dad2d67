/**
 * What a client is told: checked at construction, durations in seconds.
 *
 * A mistake is told here, by name, and not later by a connection that fails.
 */

import { DEFAULTS, MAX_SECONDS } from '../generated/tables'
import type * as told from '../generated/types'
import { ValueError } from './errors'
import { checkBaseUrl, checkUrl } from './url'
import { isTag, isToken, userId } from './wire/types'

export type { HeartbeatConfig, HttpConfig, ReconnectConfig, Timeouts } from '../generated/types'

/** Everything that a client is told, and what follows from it. */
export interface CoreConfig extends told.CoreConfig {
  /** Is it wss? */
  readonly secure: boolean
  /** The host to connect to, without brackets. */
  readonly host: string
  /** The port to connect to. */
  readonly port: number
  /** The request target: path and query. */
  readonly target: string
  /** What the path of every HTTP call follows. */
  readonly httpUrl: string
}

type Groups = 'reconnect' | 'heartbeat' | 'timeouts' | 'http'
type Needed = 'wsUrl' | 'token' | 'userId'

/** What an application gives: what is left out is as in `DEFAULTS`. */
export type GivenConfig = Pick<told.CoreConfig, Needed> &
  Partial<Omit<told.CoreConfig, Needed | Groups>> & {
    [G in Groups]?: Partial<told.CoreConfig[G]>
  }

/** What is wrong with a value; null: nothing. */
type Check = (value: unknown) => string | null
type Checks<T> = { readonly [K in keyof T]-?: Check }

const within =
  (least: number, most: number, above = false): Check =>
  (value) =>
    typeof value === 'number' && (above ? value > least : value >= least) && value <= most
      ? null
      : `is a number ${above ? `above ${least} and` : `from ${least}`} up to ${most}`
const whole =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) ? within(least, most)(value) : `is a whole number from ${least}`
const one =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string) ? null : `is one of ${words.join(', ')}`
const like =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? null : 'is a path such as /im'
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? null : check(value)
const truth: Check = (value) => (typeof value === 'boolean' ? null : 'is true or false')
/** For what throws by itself. */
const thrown =
  (check: (value: never) => unknown): Check =>
  (value) => {
    check(value as never)
    return null
  }

const duration = within(0, MAX_SECONDS, true)
const MANY = Number.MAX_SAFE_INTEGER

const CHECKS: Checks<Omit<told.CoreConfig, Groups>> & {
  readonly [G in Groups]: Checks<told.CoreConfig[G]>
} = {
  wsUrl: (value) => {
    if (typeof value !== 'string') return 'is a string'
    checkUrl(value)
    return null
  },
  token: (value) =>
    value === null || isToken(value) ? null : 'has 1 to 8192 characters, and is text',
  userId: thrown(userId),
  reconnect: {
    maxRetries: orNull(whole(0, MANY)),
    initialDelay: duration,
    maxDelay: duration,
    strategy: one('fixed', 'linear', 'exponential'),
    jitter: one('full', 'none'),
    stableAfter: within(0, MAX_SECONDS),
  },
  heartbeat: {
    interval: orNull(duration),
    timeout: orNull(duration),
    maxMissed: orNull(whole(1, 100)),
  },
  timeouts: {
    connect: duration,
    auth: duration,
    token: duration,
    ack: duration,
    partial: duration,
    close: duration,
  },
  http: {
    baseUrl: orNull((value) => {
      if (typeof value !== 'string') return 'is a string'
      checkBaseUrl(value)
      return null
    }),
    prefix: like(/^(?:\/[!$-.0->@-~]+)*$/),
    createPath: like(/^(?:\/[!$-.0->@-~]+)+$/),
    timeout: duration,
  },
  dialect: one('invocation', 'typed'),
  extensions: truth,
  deviceId: orNull((value) => (isTag(value) ? null : 'has 1 to 64 of A-Z, a-z, 0-9 and _ . : -')),
  inFlight: whole(1, 65_536),
  maxQueue: whole(1, MANY),
  maxQueueBytes: whole(1024, MANY),
  whenQueueFull: one('reject', 'drop_oldest', 'drop_lowest_priority'),
  timeToLive: orNull(duration),
  keysKept: duration,
  contentUnits: whole(1, 2 ** 31),
  messageBytes: whole(1024, 2 ** 30),
  maxUnhandled: whole(1, 1_000_000),
  whenFull: one('block', 'drop_oldest'),
  ack: one('auto', 'manual'),
  handlerAttempts: whole(1, 100),
  sleepWatch: orNull(duration),
  knownPairs: whole(0, 1_000_000),
  resendWhenUnsure: truth,
  maxSends: whole(1, 100),
}

/**
 * A configuration with all its fields.
 *
 * @param given - what the application gives; what is left out, or undefined, has its default.
 * @throws ValueError - names the field that is wrong or unknown; never shows the token.
 */
export function coreConfig(given: GivenConfig): CoreConfig {
  const config = filled('', given, DEFAULTS, CHECKS) as unknown as told.CoreConfig
  const { reconnect, http } = config
  if (reconnect.maxDelay < reconnect.initialDelay) {
    throw new ValueError('reconnect.maxDelay is smaller than initialDelay')
  }
  const url = checkUrl(config.wsUrl)
  const secure = url.scheme === 'wss'
  const baseUrl = http.baseUrl === null ? null : checkBaseUrl(http.baseUrl)
  if (secure && baseUrl?.startsWith('http://')) {
    throw new ValueError(
      'http.baseUrl: base_url is http:// beside wss://: the token would go in clear text',
    )
  }
  const standard = secure ? 443 : 80
  const port = url.port || standard
  const host = url.host.includes(':') ? `[${url.host}]` : url.host
  const base = `http${secure ? 's' : ''}://${host}${port === standard ? '' : `:${port}`}`
  return {
    ...config,
    userId: userId(config.userId),
    http: { ...http, baseUrl },
    secure,
    host: url.host,
    port,
    target: url.target,
    httpUrl: (baseUrl ?? base) + http.prefix,
  }
}

type Table = { readonly [name: string]: unknown }

/** All fields that have a check: given, or else as usual. */
function filled(place: string, given: Table, usual: Table, checks: Table): Table {
  for (const name in given) {
    if (!Object.hasOwn(checks, name)) throw new ValueError(`${place}${name} is no such setting`)
  }
  const config: Record<string, unknown> = {}
  for (const [name, check] of Object.entries(checks)) {
    const value = given[name] === undefined ? usual[name] : given[name]
    config[name] =
      typeof check === 'function'
        ? checked(place + name, value, check as Check)
        : filled(
            `${place}${name}.`,
            (given[name] ?? {}) as Table,
            usual[name] as Table,
            check as Table,
          )
  }
  return config
}

function checked(name: string, value: unknown, check: Check): unknown {
  let fault: string | null
  try {
    fault = check(value)
  } catch (error) {
    if (error instanceof ValueError) throw new ValueError(`${name}: ${error.message}`)
    throw error
  }
  if (fault !== null) throw new ValueError(`${name} ${fault}`)
  return value
}
