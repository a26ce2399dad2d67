/**
 * Reading what a peer sent, by tables: a rule for each field of each message.
 *
 * The verdicts, and the names of the rules that are broken, are those of the Python side. No error
 * here ever shows the input: it may hold a token.
 */

import { longerThan } from '../text'
import { BadFrame } from './dialect'
import { isObject, type Json, type JsonObject, NotJson, parseJson } from './json'

/** A rule that is broken, and where. */
export class Fault {
  constructor(
    readonly rule: string,
    readonly place: readonly (string | number)[] = [],
  ) {}

  /** The same, further inside. */
  at(part: string | number): Fault {
    return new Fault(this.rule, [part, ...this.place])
  }

  toString(): string {
    return `${this.place.join('.') || 'message'}: ${this.rule}`
  }
}

/** Reads a value, or says which rule it breaks. */
export type Rule<T> = (value: Json) => T | Fault

/** A field that may be left out: how it is read, and what it is then. */
export interface Field<T> {
  readonly rule: Rule<T>
  readonly absent: T
}

/** The fields of a message in their order, each required unless it is a `Field`. */
export type Fields<T> = { readonly [K in keyof T]: Rule<T[K]> | Field<T[K]> }

/** A message: its fields, and the name of its class on the Python side. */
export type Named<T extends string, F> = { type: T } & F

/** Reads an object by its fields; the first fault counts, in the order of the table. */
export function object<T extends object>(fields: Fields<T>): Rule<T> {
  return (value) => {
    if (!isObject(value)) return new Fault('model_type')
    const read: Partial<T> = {}
    for (const name in fields) {
      const field = fields[name] as Rule<T[typeof name]> | Field<T[typeof name]>
      const key = name in value ? name : snakeCase(name)
      const given = value[key]
      if (given === undefined) {
        if (!('absent' in field)) return new Fault('missing', [name])
        read[name] = field.absent
        continue
      }
      const found = ('absent' in field ? field.rule : field)(given)
      if (found instanceof Fault) return found.at(key)
      read[name] = found
    }
    return read as T
  }
}

/** The same, of a message with that name. */
export function message<T extends string, F extends object>(
  type: T,
  fields: Fields<F>,
): Rule<Named<T, F>> {
  const read = object(fields)
  return (value) => {
    const found = read(value)
    return found instanceof Fault ? found : { type, ...found }
  }
}

/** A list of at most so many. */
export function list<T>(rule: Rule<T>, most: number): Rule<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return new Fault('list_type')
    if (value.length > most) return new Fault('too_long')
    const read: T[] = []
    for (const [place, item] of value.entries()) {
      const found = rule(item)
      if (found instanceof Fault) return found.at(place)
      read.push(found)
    }
    return read
  }
}

/** Some servers write their names so. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Nothing, or a text that stands for it: an empty object. */
export function isNothing(value: Json | undefined): boolean {
  return value == null || value === '' || value === 'null'
}

/**
 * The JSON value that a frame holds.
 *
 * @throws BadFrame - it is not JSON, or too deep, or not text.
 */
export function parseFrame(text: string): Json {
  try {
    return parseJson(text)
  } catch {
    throw new BadFrame('the frame is not JSON')
  }
}

/** The envelope's `type`; null if it can't be one. */
export function kindOf(envelope: JsonObject): string | null {
  const kind = envelope.type
  return typeof kind === 'string' && kind && !longerThan(kind, 64) ? kind : null
}

/** A message's fields, as an object or as JSON in a string; nothing at all is an empty object. */
export function readBody<T>(rule: Rule<T>, body: Json | undefined): T | Fault {
  if (isNothing(body)) return rule({})
  if (typeof body !== 'string') return rule(body as Json)
  try {
    return rule(parseJson(body, true))
  } catch (error) {
    if (error instanceof NotJson) return new Fault('json_invalid')
    throw error
  }
}
