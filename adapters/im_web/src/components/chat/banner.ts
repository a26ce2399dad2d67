/** What is said about the connection, over the messages. */
import type { ConnectionState } from '../../types'

/**
 * Nothing, while all is well. `expired` asks for a new token; `replaced`: the same device has
 * logged in elsewhere; `offline`: no network, or nobody tries.
 */
export type BannerState =
  'none' | 'connecting' | 'reconnecting' | 'offline' | 'expired' | 'replaced'

/** The state, and what is said with it. */
export interface Banner {
  readonly state: BannerState
  /** Which attempt it is, from 1. */
  readonly attempt: number
  /** When the next attempt starts, ms since 1970. */
  readonly retryAt: number | null
  /** Messages that wait to be sent. */
  readonly queued: number
  /** Is there no network, as the browser says? */
  readonly noNetwork: boolean
  /** Why, in the client's plain words. */
  readonly reason: string
}

const LOGIN = new Set(['AUTH_FAILED', 'TOKEN_INVALID'])
/** The close that says: the same device has logged in elsewhere. */
const REPLACED = 4004

/**
 * @param queued how many messages have no end yet.
 * @param network does the browser say that there is one?
 */
export function bannerOf(state: ConnectionState, queued: number, network: boolean): Banner {
  return {
    state: stateOf(state, queued, network),
    attempt: Math.max(state.attempts, 1),
    retryAt: state.retryAt,
    queued,
    noNetwork: !network,
    reason: state.reason,
  }
}

function stateOf(
  { status, attempts, lastError }: ConnectionState,
  queued: number,
  network: boolean,
): BannerState {
  // a dead link is found after some time only; to this very machine it works without a network
  if (status === 'authenticated') return network || queued === 0 ? 'none' : 'offline'
  if (status === 'disconnected') {
    if (lastError?.serverCode === REPLACED) return 'replaced'
    if (lastError && LOGIN.has(lastError.code)) return 'expired'
    return 'offline'
  }
  if (!network) return 'offline'
  return status === 'reconnecting' || attempts > 0 ? 'reconnecting' : 'connecting'
}
