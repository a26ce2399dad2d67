/** What a client is doing and why, in plain words. */

import type { ClientCore } from './core'
import type { Outgoing } from './message'
import { fixed } from './text'
import { MEANINGS } from './timers'

/**
 * The state, its reason, the counts, and every deadline that is set.
 *
 * @param core of whom.
 * @param now defaults to the time of the last step.
 * @param ref what is known of that message instead.
 */
export function explain(core: ClientCore, now = core.fx.now, ref: number | null = null): string {
  if (ref !== null) return explainMessage(core, now, ref)
  const { config, receiving, sending } = core
  const { outbox, admission } = sending
  const state = core.state(now)
  const lines = [`${state.status}: ${state.reason}.`]
  if (state.retryIn !== null) {
    lines.push(`Attempt ${core.backoff.retries} starts in ${seconds(state.retryIn)}.`)
  }
  if (state.attempts) {
    const limit = config.reconnect.maxRetries
    const of = limit === null ? '' : ` of ${limit}`
    lines.push(`${state.attempts}${of} attempts in a row have failed.`)
  }
  lines.push(...wants(core))
  if (outbox.size) {
    const blocked = sending.blocked ? ', writing is blocked by the transport.' : '.'
    lines.push(`${outbox.size} messages to send, ${outbox.inFlight} of them in flight${blocked}`)
  }
  if (admission.line.size) {
    lines.push(`${admission.line.size} more wait for room in the outbox.`)
  }
  if (receiving.inbox.waiting) {
    lines.push(
      `${receiving.inbox.waiting} received messages are not handled by the application yet.`,
    )
  }
  if (receiving.held) {
    lines.push(`It is not told of ${receiving.held} events before the journal is written.`)
  }
  if (core.paused) lines.push('Nothing more is read from the server until some of them are.')
  const waits = core.timers.all().map(([timer, deadline]) => {
    const left = deadline - now
    return `${MEANINGS[timer]} (${left > 0 ? `${seconds(left)} left` : 'due'})`
  })
  if (waits.length) lines.push(`Waiting for: ${waits.join(', ')}.`)
  return lines.join(' ')
}

function wants(core: ClientCore): string[] {
  if (core.login.state === 'refused') return ['Only a new token, or connect(), goes on.']
  return core.linkWanted ? [] : ['Only connect() goes on.']
}

function seconds(value: number): string {
  return `${fixed(value, 1)} s`
}

function explainMessage(core: ClientCore, now: number, ref: number): string {
  const { outbox, admission } = core.sending
  const message = outbox.get(ref) ?? admission.line.get(ref)
  if (!message) {
    return `Message ${ref} is not pending: it has its end, or it is not this client's.`
  }
  const who = `Message ${ref} to ${message.toUser}`
  if (message.state === 'in_flight') {
    return (
      `${who} is in flight, handed over ${seconds(now - message.sentAt)} ago` +
      ` (${times(message.sends)}); the server has not answered.`
    )
  }
  const ahead = [...admission.line.keys()].indexOf(ref)
  const reasons =
    ahead >= 0
      ? [`for room in the outbox${ahead ? `, behind ${ahead} others` : ''}`]
      : whatItWaitsFor(core, message, now)
  return `${[`${who} waits`, ...reasons].join(', ')}.${expires(core, message, now)}`
}

function whatItWaitsFor(core: ClientCore, message: Outgoing, now: number): string[] {
  const { sending } = core
  const { outbox } = sending
  const ahead = outbox.aheadOf(message)
  const reasons = []
  if (message.state === 'unconfirmed') {
    const lost = message.ofBefore
      ? ': an earlier process may have sent it'
      : message.unsure
        ? ': the link it went out on was lost'
        : ''
    reasons.push(`to be sent again${lost} (${times(message.sends)})`)
  }
  if (!sending.recording.mayGo(message)) {
    const at = core.journaling.retryAt
    reasons.push(
      at === null
        ? 'for the journal'
        : "for the journal, which can't be written and is tried again in " +
            seconds(Math.max(0, at - now)),
    )
  }
  const held = outbox.isHeld(message.toUser)
  if (sending.status.asksFor(message)) {
    reasons.push('for the server to say what became of it')
  } else if (held) {
    reasons.push('for the server to say what became of others of its conversation')
  }
  if (ahead) reasons.push(`behind ${ahead} others of its conversation`)
  const rest = (message.notBefore ?? now) - now
  if (rest > 0) reasons.push(`${seconds(rest)} more, as the server failed on it`)
  const state = core.state(now)
  if (state.status !== 'AUTHENTICATED') {
    reasons.push(`for a log-in (${state.status}: ${state.reason})`)
  } else if (sending.blocked) {
    reasons.push('for the transport, which takes no more for now')
  } else if (!ahead && rest <= 0 && !held && !outbox.hasTurn(message)) {
    reasons.push('for a place among the messages in flight')
  }
  return reasons
}

function expires(core: ClientCore, message: Outgoing, now: number): string {
  const at = message.handedAt === null ? core.sending.expiry.at(message.ref) : null
  return at === null ? '' : ` It expires in ${seconds(Math.max(0, at - now))}.`
}

function times(sends: number): string {
  return sends === 1 ? 'sent once' : `sent ${sends} times`
}
