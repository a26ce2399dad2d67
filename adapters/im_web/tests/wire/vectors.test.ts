/** What the Python side reads and writes is what this side reads and writes. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { coreConfig } from '../../src/core/config'
import { printable } from '../../src/core/errors'
import { fixed, g, repr, utf8Length } from '../../src/core/text'
import { RULES } from '../../src/core/validation'
import { BadFrame } from '../../src/core/wire/dialect'
import { dialectOf } from '../../src/core/wire/dialects'
import { Float, parseJson } from '../../src/core/wire/json'
import type { ClientMessage } from '../../src/core/wire/messages'
import { pack } from '../../src/core/wire/packing'
import { readAnswer, readHistory, readSession, readSessions } from '../../src/core/wire/session'
import { contentUnits } from '../../src/core/wire/types'

type Vector = Record<string, unknown>

const FILE = fileURLToPath(new URL('../../../../docs/vectors/wire.jsonl', import.meta.url))
const LINES = readFileSync(FILE, 'utf8').trim().split('\n')
const VECTORS = LINES.map((line) => JSON.parse(line) as Vector)
const FIELDS = VECTORS[0]!.fields as Record<string, string[]>

const texts: Record<string, (value: never) => unknown> = {
  g,
  fixed0: (value: number) => fixed(value, 0),
  fixed1: (value: number) => fixed(value, 1),
  printable: (value: string) => printable(value),
  repr,
  utf8Length,
  contentUnits,
}

/** What is done with each kind of line. */
const acts: Record<string, (vector: Vector) => unknown> = {
  read: ({ read, dialect = 'invocation' }) => {
    const found = dialectOf(dialect as 'typed').decode(read as string, 4)
    for (const message of found) {
      const fields = FIELDS[message.type]
      if (fields) expect(Object.keys(message)).toEqual(['type', ...fields])
    }
    return found
  },
  write: ({ write, dialect, wallMs, inline }) =>
    dialectOf(dialect as 'typed').encode(write as ClientMessage, {
      wallMs: wallMs as number,
      inline: inline as boolean,
    }),
  rule: ({ rule, value }) => RULES[rule as 'content'](value),
  url: ({ url, http }) => {
    const given = { wsUrl: url as string, token: 't', userId: 1, http: http as object }
    const { secure, host, port, target, httpUrl } = coreConfig(given)
    return { secure, host, port, target, httpUrl }
  },
  answer: ({ answer }) => readAnswer(answer as string),
  session: ({ session }) => readSession(parseJson(session as string)),
  sessions: ({ sessions }) => readSessions(parseJson(sessions as string)),
  history: ({ history }) => readHistory(parseJson(history as string), 3),
  pack: ({ pack: envelopes, batch, frameBytes }) =>
    pack(envelopes as string[], { batch: batch as number, frameBytes: frameBytes as number }),
  text: ({ text, value }) => texts[text as string]!(value as never),
}

/** A value as it stands in a line: without nulls in objects, numbers as JSON has them. */
function plain(value: unknown): unknown {
  if (value instanceof Float) return value.value
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const said = Object.entries(value).filter(([, part]) => part !== null)
  return Object.fromEntries(said.map(([name, part]) => [name, plain(part)]))
}

function outcome(act: (vector: Vector) => unknown, vector: Vector): unknown {
  try {
    return { gives: plain(act(vector)) }
  } catch (error) {
    if (error instanceof BadFrame) return { bad: [error.reason, error.closeCode] }
    // a configuration says which of its fields it is
    return { fault: (error as Error).message.replace(/^(wsUrl|http\.baseUrl): /, '') }
  }
}

function expected({ gives, bad, fault }: Vector): unknown {
  if (bad) return { bad }
  return fault === undefined ? { gives: gives === null ? null : plain(gives) } : { fault }
}

test.each(Object.keys(acts))('every line that says "%s" comes out as it says', (kind) => {
  const lines = VECTORS.filter((vector) => kind === Object.keys(vector)[0])
  expect(lines.length).toBeGreaterThan(5)
  for (const vector of lines) {
    expect(outcome(acts[kind]!, vector), JSON.stringify(vector)).toEqual(expected(vector))
  }
})
