/** How an engine begins: with what is stored, or, where a browser has nothing to store in, without. */

import { Engine, type EngineOptions } from './engine'
import { Journal } from './journal'

/**
 * Make an engine: at once, or when its storage is open. It is made in any case.
 *
 * @param options - what it is made of, but for the storage.
 * @param name - of its database; null: nothing is to be kept.
 * @param without - told why nothing can be kept.
 */
export function startEngine(
  options: Omit<EngineOptions, 'opened'>,
  name: string | null,
  without: (reason: string) => void,
): Engine | Promise<Engine> {
  if (name === null) return new Engine({ ...options, opened: null })
  return stored(options, name).catch((error: unknown) => {
    without(error instanceof Error ? error.message : '')
    return new Engine({ ...options, opened: null })
  })
}

async function stored(options: Omit<EngineOptions, 'opened'>, name: string): Promise<Engine> {
  const { env, settings } = options
  const opened = await Journal.open(env, name, settings.config.knownPairs)
  try {
    return new Engine({ ...options, opened })
  } catch {
    opened.journal.close()
    throw new Error('what is stored is damaged')
  }
}
