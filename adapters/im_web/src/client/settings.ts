/** The configuration of an application, as the core takes it: seconds, and the original's defaults. */

import { coreConfig, type CoreConfig, type GivenConfig } from '../core/config'
import { LocalProtocolError } from '../core/errors'
import type { IMClientConfig } from '../types'

/** What the original's README shows, for what is left out. */
const RECONNECT = { maxRetries: 5, initialDelay: 1000, maxDelay: 30_000 }
const HEARTBEAT = { interval: 30_000, timeout: 5000 }

/** Durations by these names are milliseconds outside, and seconds in the core. */
const DURATIONS: ReadonlySet<string> = new Set([
  ...['initialDelay', 'maxDelay', 'stableAfter', 'interval', 'timeout', 'timeToLive', 'keysKept'],
])

/** What the core is told, and what it makes of that. */
export interface Settings {
  given: GivenConfig
  config: CoreConfig
}

/**
 * What the core is told.
 *
 * @throws {LocalProtocolError} names the key that is unknown, or whose value is wrong; never shows
 * the token.
 */
export function settings(config: IMClientConfig): Settings {
  const { token, reconnect, heartbeat, timeouts, http, ...rest } = config
  const { storage: _, tabs: __, environment: ___, ...plain } = rest
  const retries = { ...RECONNECT, ...reconnect }
  if (retries.maxRetries === Infinity) retries.maxRetries = null as never
  try {
    const given: GivenConfig = {
      ...inSeconds(plain, DURATIONS),
      token: typeof token === 'function' ? null : token,
      reconnect: inSeconds(retries, DURATIONS),
      heartbeat: inSeconds({ ...HEARTBEAT, ...heartbeat }, DURATIONS),
      timeouts: inSeconds({ ...timeouts }),
      http: inSeconds({ ...http }, DURATIONS),
    }
    return { given, config: coreConfig(given) }
  } catch (error) {
    if (error instanceof Error) throw new LocalProtocolError(`config: ${error.message}`)
    throw error
  }
}

/** The numbers among them in seconds: of these names, or all. */
function inSeconds<T extends object>(given: T, names?: ReadonlySet<string>): T {
  const entries = Object.entries(given).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === 'number' && (names?.has(name) ?? true) ? value / 1000 : value,
  ])
  return Object.fromEntries(entries) as T
}
