/** The TypeScript engine does what the Python engine did: docs/vectors.md. */

import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { GivenConfig } from '../src/core/config'
import { ClientCore, IMError, LocalProtocolError } from '../src/core'
import type { ConnectionState, CoreInput, Rng } from '../src/core'
import { JournalState } from '../src/core/journal'
import type { JournalData } from '../src/generated/types'

interface Step {
  now: number
  input: CoreInput
  actions?: unknown[]
  deadline?: number | null
  raises?: string
}

interface Vector {
  name: string
  config: GivenConfig
  now: number
  wall: number
  journal: JournalData | null
  draws: (number | string)[]
  steps: Step[]
}

const FOLDER = fileURLToPath(new URL('../../../docs/vectors/', import.meta.url))
const NOTHING = '(nothing)'

/** Gives what was drawn, in order. */
class Replayed implements Rng {
  readonly left: (number | string)[]

  constructor(draws: readonly (number | string)[]) {
    this.left = [...draws]
  }

  uniform(): number {
    return this.#next('number') as number
  }

  hex64(): string {
    return this.#next('string') as string
  }

  #next(kind: 'number' | 'string'): number | string {
    const drawn = this.left.shift()
    if (typeof drawn !== kind) throw new Error(`draws a ${kind}, and the next is ${drawn}`)
    return drawn as number | string
  }
}

/** What was done, as a vector tells it: errors as objects, no nulls, no digests. */
function told(value: unknown): unknown {
  if (value instanceof IMError) {
    const { code, text, serverCode, serverText, retryable, terminal } = value
    return told({ code, text, serverCode, serverText, retryable, terminal })
  }
  if (Array.isArray(value)) return value.map(told)
  if (value === null || typeof value !== 'object') return value
  if ('type' in value && value.type === 'PairKnown') value = { ...value, digest: '' }
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, one]) => one !== null)
      .map(([key, one]) => [key, told(one)]),
  )
}

/** Checks each StateChanged against the one before, and leaves out what that told already. */
class States {
  #last: ConnectionState

  constructor(core: ClientCore) {
    this.#last = core.state()
  }

  without(actions: readonly unknown[]): unknown[] {
    return actions.map((action) => {
      const { type, event } = action as { type: string; event?: Record<string, unknown> }
      if (type !== 'Notify' || event?.type !== 'StateChanged') return action
      const { previous, ...rest } = event
      const differs = first(told(this.#last), told(previous), '')
      this.#last = event.current as ConnectionState
      return { type, event: differs ? { ...rest, previous: differs } : rest }
    })
  }
}

interface Difference {
  where: string
  expected: unknown
  found: unknown
}

/** The first place where two differ; null if they don't. */
function first(expected: unknown, found: unknown, where: string): Difference | null {
  const both = typeof expected === 'object' && typeof found === 'object' && expected && found
  if (!both || Array.isArray(expected) !== Array.isArray(found)) {
    return Object.is(expected, found) || expected === found ? null : { where, expected, found }
  }
  const [one, other] = [expected as Record<string, unknown>, found as Record<string, unknown>]
  for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const at = Array.isArray(expected) ? `${where}[${key}]` : `${where}.${key}`
    const differs = first(key in one ? one[key] : NOTHING, key in other ? other[key] : NOTHING, at)
    if (differs) return differs
  }
  return null
}

function lived(core: ClientCore, states: States, { input, now }: Step): Partial<Step> {
  try {
    const actions = core.step(input, now)
    return { actions: told(states.without(actions)) as unknown[], deadline: core.nextDeadline() }
  } catch (error) {
    if (error instanceof IMError) return { raises: error.code }
    if (error instanceof LocalProtocolError) return { raises: 'LocalProtocolError' }
    throw error
  }
}

/** The first difference, in words; null if the engine does all that the vector says. */
export function replay(vector: Vector): string | null {
  const rng = new Replayed(vector.draws)
  const core = new ClientCore(vector.config, {
    now: vector.now,
    wall: vector.wall,
    rng,
    journal: vector.journal && new JournalState(vector.journal),
  })
  const states = new States(core)
  for (const [number, step] of vector.steps.entries()) {
    const { now: _, input, ...expected } = step
    let found: unknown
    let broken: Difference | null = null
    try {
      found = lived(core, states, step)
    } catch (error) {
      broken = { where: '', expected, found: error instanceof Error ? error.stack : error }
    }
    const differs = broken ?? first(expected, found, '')
    if (differs) {
      return [
        `${vector.name}, step ${number}${differs.where}`,
        `  input:    ${JSON.stringify(input)}`,
        `  expected: ${shown(differs.expected)}`,
        `  found:    ${shown(differs.found)}`,
      ].join('\n')
    }
  }
  return rng.left.length ? `${vector.name}: ${rng.left.length} draws are left` : null
}

const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

const vectors = readdirSync(FOLDER)
  .filter((file) => /^client-.*\.jsonl$/.test(file))
  .sort()
  .flatMap((file) =>
    readFileSync(FOLDER + file, 'utf8')
      .trimEnd()
      .split('\n'),
  )
  .map((line) => JSON.parse(line) as Vector)

describe('the conformance vectors', () => {
  it.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const difference = replay(vector)
    if (difference) expect.fail(difference)
  })
})

describe('the runner', () => {
  const [vector] = vectors as [Vector]
  const at = vector.steps.findIndex(({ actions }) => actions?.length)

  it.each([
    ['another action', (step: Step) => (step.actions![0] = { type: 'Nothing' })],
    ['an action that is missing', (step: Step) => step.actions!.push({ type: 'Connect' })],
    ['another deadline', (step: Step) => (step.deadline = -1)],
    ['an error instead', (step: Step) => (step.raises = 'QUEUE_FULL')],
  ])('notices %s', (_, change) => {
    const changed = structuredClone(vector)
    change(changed.steps[at] as Step)
    expect(replay(changed)).toContain(`step ${at}`)
  })
})
