/** How long to wait before trying again, and when to stop trying. */

import type { ReconnectConfig } from './config'
import type { Rng } from './rng'

/** A server can't send a client away for longer than this, in seconds. */
export const MAX_RETRY_AFTER = 86_400

/** The delay before jitter after that many failures in a row (at least one), in seconds. */
export function baseDelay(config: ReconnectConfig, failures: number): number {
  const n = Math.max(1, failures)
  let delay = config.initialDelay
  if (config.strategy === 'linear') delay *= n
  // 2^62 is far above any maxDelay; the cap keeps the number finite after years of trying
  else if (config.strategy === 'exponential') delay *= 2 ** Math.min(n - 1, 62)
  return Math.min(delay, config.maxDelay)
}

/**
 * Counts failures and draws delays.
 *
 * Two counts, because they end differently: `failed` is what `maxRetries` limits and falls back to
 * zero at a log-in; the level is what the delay grows by and falls back only after a link that
 * stayed good, so that a server which accepts log-ins and drops them is not hammered. A wait that
 * the server asked for is no sign of trouble: the next delay is no longer for it.
 *
 * Of random delays several may be short. So that a client is not away long after a short outage for
 * that, none is longer than it would be if those before had been as long as they could be.
 */
export class Backoff {
  /** Consecutive failed attempts. */
  failed = 0
  /** Attempts scheduled since the last log-in. */
  retries = 0
  /** The present delay is what the server asked for. */
  asked = false
  /** The present attempt came before its time; that it fails proves nothing. */
  early = false
  readonly #config: ReconnectConfig
  #level = 0
  /** When the first of the delays was drawn that the level counts. */
  #began = 0
  /** Links in a row that ended over a violation. */
  #violations = 0
  #goodSince: number | null = null

  constructor(config: ReconnectConfig) {
    this.#config = config
  }

  /** The application asked for a connection: nothing of before counts. */
  startOver(): void {
    this.failed = this.retries = this.#level = this.#violations = 0
    this.early = false
  }

  /** A log-in succeeded. */
  authenticated(now: number): void {
    this.failed = this.retries = 0
    this.#goodSince = now
  }

  /** An attempt ended before its log-in, and it counts, unless it came early. */
  attemptFailed(): void {
    if (!this.early) this.failed += 1
  }

  /**
   * A logged-in link ended; `asFailed`: over a violation, whose delays grow from one such end to the
   * next however good the links between them were.
   */
  linkLost(now: number, asFailed: boolean): void {
    const since = this.#goodSince
    this.#goodSince = null
    if (since !== null && now - since >= this.#config.stableAfter) {
      this.#level = asFailed ? this.#violations : 0
    }
    this.#violations = asFailed ? this.#violations + 1 : 0
  }

  /** Has the client failed as often as it may? */
  get exhausted(): boolean {
    const limit = this.#config.maxRetries
    return limit !== null && this.failed >= limit
  }

  /**
   * Draw the delay of the next attempt, in seconds; a server's own wish is obeyed, but for one of no
   * delay at all.
   */
  nextDelay(now: number, rng: Rng, retryAfter: number | null): number {
    this.retries += 1
    this.early = false
    this.asked = Boolean(retryAfter)
    if (retryAfter) return Math.min(retryAfter, MAX_RETRY_AFTER)
    if (this.#level === 0) this.#began = now
    this.#level += 1
    const delay = baseDelay(this.#config, this.#level)
    if (this.#config.jitter === 'none') return delay
    return rng.uniform(0, Math.min(delay, this.#config.initialDelay + now - this.#began))
  }
}
