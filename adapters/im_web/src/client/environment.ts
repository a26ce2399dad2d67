/** What is around a client: the browser's own, or what a test or the lab puts in its place. */

import type { Environment, Locks } from '../types'

/** A browser that forbids something may throw where one only looks at it. */
function allowed<T>(get: () => T): T | undefined {
  try {
    return get() ?? undefined
  } catch {
    return undefined
  }
}

function hex64(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Everything of the browser, but for what is given; what is given as undefined is not there. */
export function environment(given: Partial<Environment> = {}): Environment {
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    setTimeout: (callback, ms) => setTimeout(callback, ms),
    clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    random: { uniform: (low, high) => low + (high - low) * Math.random(), hex64 },
    WebSocket: globalThis.WebSocket,
    fetch: (input, init) => globalThis.fetch(input, init),
    indexedDB: allowed(() => globalThis.indexedDB),
    locks: allowed(() => navigator.locks as Locks),
    BroadcastChannel: allowed(() => globalThis.BroadcastChannel),
    localStorage: allowed(() => globalThis.localStorage),
    window: allowed(() => globalThis.window),
    document: allowed(() => globalThis.document),
    online: () => allowed(() => navigator.onLine) !== false,
    ...given,
  }
}
