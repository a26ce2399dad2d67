/** What the tests of the two halves of a client share: chance, a journal, and a bench to work at. */

import { Effects } from '../../src/core/effects'
import { coreConfig } from '../../src/core/config'
import type { CoreConfig, GivenConfig } from '../../src/core/config'
import type { Change, CoreAction, Event } from '../../src/generated/types'
import { Journaling } from '../../src/core/journaling'
import type { JournalState } from '../../src/core/journal'
import type { Dialect } from '../../src/core/wire/dialect'
import type { ClientMessage } from '../../src/core/wire/messages'
import { Timers } from '../../src/core/timers'

/** Numbers that look random, and are the same for the same seed (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** From `low` to `high`, both may come. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(0, from.length - 1)] as T
  }

  /** True so often. */
  odds(chance: number): boolean {
    return this.next() < chance
  }
}

/** How long all walks of a test may take, in milliseconds, also on a busy machine. */
export const WALKS = 60_000

export function config(more: Partial<GivenConfig> = {}): CoreConfig {
  return coreConfig({ wsUrl: 'ws://im.example/ws', token: 't', userId: 1, ...more })
}

/** What a part of an engine stands on, with everything that it says and tells kept. */
export class Bench {
  readonly said: ClientMessage[] = []
  readonly fx: Effects
  readonly timers = new Timers()
  readonly journaling: Journaling
  /** the list that is being written */
  writing: { request: number; changes: readonly Change[] } | null = null

  /** @param disk null: there is no journal. */
  constructor(
    readonly disk: JournalState | null = null,
    now = 100,
    knownPairs = 4096,
  ) {
    const dialect = {
      name: 'bench',
      inFlight: null,
      encode: (message: ClientMessage) => {
        this.said.push(message)
        return ''
      },
    }
    this.fx = new Effects(dialect as unknown as Dialect, now, 1_700_000_000)
    this.journaling = new Journaling(this.fx, disk !== null, knownPairs)
  }

  /** The end of a step: what it tells. */
  take(): Event[] {
    this.journaling.pump()
    this.fx.envelopes = []
    const told: Event[] = []
    for (const action of this.fx.take() as CoreAction[]) {
      if (action.type === 'Notify') told.push(action.event)
      else if (action.type === 'WriteJournal') this.writing = action
    }
    return told
  }

  /** What is being written is on disk; false: nothing is. */
  write(): boolean {
    const { writing } = this
    if (writing === null) return false
    this.writing = null
    this.disk!.apply(writing.changes)
    this.journaling.done(writing.request)
    return true
  }
}

/** A world that walks at random, and counts what it has met. */
interface Walk {
  readonly seen: Readonly<Record<string, number>>
  step(): void
  finish(): void
}

/** Walk through forty of them; returns what they have met together. What fails names its seed. */
export function walks(world: (seed: number) => Walk, steps: number): Record<string, number> {
  const seen: Record<string, number> = {}
  for (let seed = 0; seed < 40; seed++) {
    const walk = world(seed)
    try {
      for (let n = 0; n < steps; n++) walk.step()
      walk.finish()
    } catch (error) {
      ;(error as Error).message = `seed ${seed}: ${(error as Error).message}`
      throw error
    }
    for (const [what, times] of Object.entries(walk.seen)) seen[what] = (seen[what] ?? 0) + times
  }
  return seen
}
