/** What a browser tells of the machine: a network that comes and goes, a page that sleeps. */

import type { Environment } from '../types'

/** What hears of it. */
export interface HintListener {
  /** There is a network (again), or there is none. */
  network(online: boolean): void
  /** The page may have slept, or its timers may be late: look at the clocks. */
  awake(): void
  /** The page is about to be frozen or left. */
  asleep(): void
}

/** Listen; returns what ends it. */
export function listen(env: Environment, listener: HintListener): () => void {
  const ends: (() => void)[] = []
  const on = (
    target: Environment['window'] | Environment['document'],
    name: string,
    hear: () => void,
  ): void => {
    target?.addEventListener(name, hear)
    ends.push(() => target?.removeEventListener(name, hear))
  }
  on(env.window, 'online', () => listener.network(true))
  on(env.window, 'offline', () => listener.network(false))
  on(env.window, 'pageshow', () => listener.awake())
  on(env.window, 'pagehide', () => listener.asleep())
  on(env.document, 'visibilitychange', () => {
    if (env.document?.visibilityState !== 'hidden') listener.awake()
  })
  on(env.document, 'freeze', () => listener.asleep())
  on(env.document, 'resume', () => listener.awake())
  return () => {
    for (const end of ends) end()
  }
}
