/** What the server tells its page, and where the log-in is kept. */
import type { UserId } from '../types'
import { userIdOf } from '../components/chat/ids'

/** A user that may be picked on a server for development. */
export interface SiteUser {
  readonly id: UserId
  readonly name: string
}

/** What stands in page.json. */
export interface Site {
  /** Where the WebSocket is, on the same host. */
  readonly path: string
  /** Is it a server for development? Then `dev:USER` is a token. */
  readonly dev: boolean
  readonly users: readonly SiteUser[]
}

/** Who is logged in, with what. */
export interface LogIn {
  readonly user: UserId
  readonly token: string
}

/** @throws when the server does not answer, or not with JSON. */
export async function fetchSite(): Promise<Site> {
  const answer = await fetch('im/page.json', { cache: 'no-store' })
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`)
  return (await answer.json()) as Site
}

/** The WebSocket's address, on the host that the page came from. */
export function wsUrlOf(site: Site, from: { protocol: string; host: string }): string {
  return `${from.protocol === 'https:' ? 'wss:' : 'ws:'}//${from.host}${site.path}`
}

/** The token of a user on a server for development. */
export function devToken(user: UserId): string {
  return `dev:${user}`
}

/** Who a token is for: a JWT's `sub`, or what stands behind `dev:`; null: it can't be read. */
export function userOfToken(token: string): UserId | null {
  if (token.startsWith('dev:')) return userIdOf(token.slice(4))
  const [, payload] = token.split('.')
  if (payload === undefined) return null
  try {
    const binary = atob(payload.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0))
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    const sub = (claims as { sub?: unknown } | null)?.sub
    return typeof sub === 'string' || typeof sub === 'number' ? userIdOf(sub) : null
  } catch {
    return null
  }
}

/** The log-in that stands behind the # of an address; null if none does. */
export function logInOfHash(hash: string): LogIn | null {
  const given = new URLSearchParams(hash.replace(/^#/, ''))
  const token = given.get('token')
  if (!token) return null
  const user = userIdOf(given.get('user')) ?? userOfToken(token)
  return user === null ? null : { user, token }
}

const KEPT = 'im:log-in'

/** The log-in of this tab: of the address, from where it is taken away, or from before a reload. */
export function keptLogIn(): LogIn | null {
  const given = logInOfHash(location.hash)
  if (location.hash.includes('token=')) {
    history.replaceState(history.state, '', location.pathname + location.search)
  }
  if (given !== null) {
    keepLogIn(given)
    return given
  }
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as LogIn | null
  } catch {
    return null
  }
}

/** Keep it as long as this tab lives; null forgets it. */
export function keepLogIn(logIn: LogIn | null): void {
  try {
    if (logIn === null) sessionStorage.removeItem(KEPT)
    else sessionStorage.setItem(KEPT, JSON.stringify(logIn))
  } catch {
    // refused: then a reload asks again
  }
}
