/**
 * The dialect of the Invocation family: `{"type": …, "message": "<JSON in a string>"}`.
 *
 * Read in two passes: the envelopes first, then each message by its type, so that one bad or unknown
 * message never takes its neighbours along (protocol.md section 1).
 */

import { printable } from '../errors'
import { BadFrame, type Dialect, type Incoming } from './dialect'
import { CLIENT_MESSAGES, SERVER_MESSAGES } from './directions'
import { isObject, type Json, type JsonObject } from './json'
import type { ClientMessage } from './messages'
import { Fault, kindOf, object, parseFrame, readBody } from './reading'
import { type Id, lenient, lenientId, seq } from './types'

const msgIdOnly = object<{ msgId: Id | null }>({ msgId: lenientId })
const seqOnly = object<{ seq: number | null }>({ seq: lenient(seq) })

/** The default dialect. */
export class Invocation implements Dialect {
  readonly name = 'invocation'
  readonly extensions = true
  readonly inFlight = null

  decode(text: string, batch: number): Incoming[] {
    const frame = parseFrame(text)
    if (isObject(frame)) return [read(frame)]
    if (!Array.isArray(frame) || !batch) throw new BadFrame('the frame is not an envelope', 1002)
    if (!frame.length || frame.length > batch) {
      throw new BadFrame(`a batch of ${frame.length}, allowed are 1 to ${batch}`, 1002)
    }
    if (!frame.every(isObject)) {
      throw new BadFrame('the batch holds something that is not an envelope', 1002)
    }
    return frame.map(read)
  }

  encode(message: ClientMessage, { inline = false }: { inline?: boolean } = {}): string {
    const [kind, ...fields] = CLIENT_MESSAGES[message.type].split(' ')
    const given = message as unknown as Record<string, unknown>
    const fieldsGiven = Object.fromEntries(fields.map((name) => [name, given[name]]))
    const body = JSON.stringify(fieldsGiven, (_, value: unknown) => value ?? undefined)
    return inline
      ? `{"type":"${kind}","message":${body}}`
      : JSON.stringify({ type: kind, message: body })
  }

  join(envelopes: readonly string[]): string {
    return envelopes.length === 1 ? (envelopes[0] as string) : `[${envelopes.join(',')}]`
  }
}

function read(envelope: JsonObject): Incoming {
  const kind = kindOf(envelope)
  if (kind === null) {
    const reason = 'the envelope has no usable type'
    return { type: 'Malformed', kind: '', reason, msgId: null }
  }
  const body = envelope.message
  const rule = SERVER_MESSAGES.get(kind)
  if (!rule) return { type: 'Unknown', kind: printable(kind), seq: seqOf(body) }
  const found = readBody(rule, body)
  return found instanceof Fault
    ? { type: 'Malformed', kind, reason: String(found), msgId: msgIdOf(body) }
    : found
}

// What one key of a message says, where the message as a whole can't be read.

function msgIdOf(body: Json | undefined): Id | null {
  const named = readBody(msgIdOnly, body)
  return named instanceof Fault ? null : named.msgId
}

function seqOf(body: Json | undefined): number | null {
  const named = readBody(seqOnly, body)
  return named instanceof Fault ? null : named.seq
}
