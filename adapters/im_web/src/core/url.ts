/** URLs as a configuration has them. What is wrong is told without quoting: it may be a password. */

import { ValueError } from './errors'

/** The parts of a URL that an engine needs. */
export interface Url {
  /** Without its colon, in small letters. */
  scheme: string
  /** In small letters, without brackets; "" if there is none. */
  host: string
  /** 0: none is named. */
  port: number
  /** The path and query, at least "/". */
  target: string
  /** A user or password stands before the host. */
  user: boolean
  /** There is something behind a #. */
  fragment: boolean
}

const URL_PARTS = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#(.*))?$/i
const HOST_AND_PORT = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(\d*))?$/

function split(url: string, name: string): Url {
  if (!/^[!-~]*$/.test(url)) {
    throw new ValueError(`${name} holds spaces, control or non-ASCII characters; encode them`)
  }
  const [, scheme = '', place = '', path = '', query = '', fragment = ''] = URL_PARTS.exec(
    url,
  ) as string[]
  const at = place.lastIndexOf('@')
  const found = HOST_AND_PORT.exec(place.slice(at + 1))
  const port = Number(found?.[3] ?? 0)
  if (!found || port > 65_535) {
    throw new ValueError(`${name} is no URL: its host or port can't be read`)
  }
  return {
    scheme: scheme.toLowerCase(),
    host: (found[1] ?? found[2] ?? '').toLowerCase(),
    port,
    target: (path || '/') + (query === '?' ? '' : query),
    user: at >= 0,
    fragment: fragment !== '',
  }
}

/**
 * Where a WebSocket server is: ws://… or wss://…, without user, password or fragment.
 *
 * @throws ValueError - it is no such URL.
 */
export function checkUrl(url: string): Url {
  const parts = split(url, 'ws_url')
  if (parts.scheme !== 'ws' && parts.scheme !== 'wss') {
    throw new ValueError('ws_url starts with ws:// or wss://')
  }
  if (!parts.host) throw new ValueError('ws_url has no host name')
  if (parts.user) {
    throw new ValueError('ws_url holds a user or password; the token goes into `token`')
  }
  if (parts.fragment) {
    throw new ValueError("ws_url has a fragment (#…), which a WebSocket URL can't have")
  }
  return parts
}

/**
 * Where an HTTP server is, without a slash at its end.
 *
 * @throws ValueError - it is no such URL.
 */
export function checkBaseUrl(url: string): string {
  const parts = split(url, 'base_url')
  if ((parts.scheme !== 'http' && parts.scheme !== 'https') || !parts.host) {
    throw new ValueError('base_url is http://host[:port] or https://…')
  }
  if (parts.user) {
    throw new ValueError('base_url holds a user or password; the token goes into `token`')
  }
  if (/[?#]/.test(url)) throw new ValueError('base_url has no query and no fragment')
  return url.replace(/\/+$/, '')
}
