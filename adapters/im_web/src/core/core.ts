/**
 * The client's protocol engine on whole text frames: `ClientCore`.
 *
 * Every input goes through `step`; every effect stands in the list that it returns. The states are
 * those of `machines`, the deadlines those of `timers`. What a log-in, a heartbeat, a retry or a
 * message on its way means is decided by the parts beside this file and carried out here: state
 * first, effect after.
 */

import { MAX_BATCH, RETRY_AFTER, SESSION_CLOSED } from '../generated/tables'
import type { CoreAction } from './actions'
import { coreConfig } from './config'
import type { GivenConfig } from './config'
import type { Counters } from './effects'
import type { Start } from './ending'
import { IMError, LocalProtocolError, printable } from './errors'
import type { ConnectionState, Status } from './events'
import type { CoreInput, JournalFailed, PartialChanged, TextReceived } from './inputs'
import type { OutgoingRecord } from './journal'
import { Welcome } from './welcome'
import { BadFrame } from './wire/dialect'
import type { Incoming } from './wire/dialect'
import type { UserId } from './wire/types'

type Handlers = {
  [T in CoreInput['type']]: (core: ClientCore, input: Extract<CoreInput, { type: T }>) => void
}

/**
 * A client without a transport: whole text frames and time in, actions out.
 *
 * With a journal the engine wants what it does written (`WriteJournal`) from the start; what an
 * earlier process has kept is what it goes on from.
 */
export class ClientCore extends Welcome {
  #told: ConnectionState

  /**
   * @param config what to do; what is left out is as in `DEFAULTS`.
   * @param start what time it is, where delays are drawn from, and what was kept.
   * @throws ValueError: the configuration can't be; the text names the field.
   */
  constructor(config: GivenConfig, start: Start) {
    super(coreConfig(config), start)
    this.#told = this.state()
  }

  // ------------------------------------------------------------ the door

  /**
   * Take one input; return what is to be done about it, in order.
   *
   * A clock that goes back is taken as standing still.
   *
   * @throws LocalProtocolError: the caller did what the state does not allow; nothing has changed.
   * @throws IMError: a Send that can't be taken (QUEUE_FULL, MESSAGE_FORMAT_ERROR), or a
   *   SessionCall (QUEUE_FULL); nothing has changed.
   */
  step(input: CoreInput, now: number): CoreAction[] {
    this.fx.now = Math.max(now, this.fx.now)
    const { type } = input
    if (!Object.hasOwn(ClientCore.#handlers, type)) {
      throw new LocalProtocolError(`${type} is not an input of a client`)
    }
    const transport = 'transport' in input ? input.transport : null
    if (
      transport === null ||
      (transport === this.transport && this.connection !== 'disconnected')
    ) {
      const handler = ClientCore.#handlers[type] as (core: ClientCore, input: CoreInput) => void
      handler(this, input)
    }
    this.#settle()
    return this.fx.take()
  }

  /** When to call `step({ type: 'TimePassed' })` at the latest; null: not before another input. */
  nextDeadline(): number | null {
    return this.timers.next()
  }

  /** Is there a link, or will there be one if all goes well? */
  get linkWanted(): boolean {
    return ['attempting', 'waiting', 'established'].includes(this.reconnect)
  }

  /** Would a SessionCall go over HTTP now? */
  get sessionsOverHttp(): boolean {
    return !this.sessions.takesLink(this.linkWanted)
  }

  /** Who logs in. */
  get userId(): UserId {
    return this.config.userId
  }

  /** What has happened so far. */
  get counters(): Counters {
    return this.fx.counters
  }

  /** Where the client is, and why; `now` defaults to the time of the last step. */
  state(now = this.fx.now): ConnectionState {
    const retryAt = this.timers.get('RECONNECT')
    return {
      status: this.#status(),
      reason: this.reason,
      attempts: this.backoff.failed,
      retryAt,
      retryIn: retryAt === null ? null : Math.max(0, retryAt - now),
      lastError: this.lastError,
    }
  }

  /** The message that was sent with that key, pending or ended; null: there is none. */
  refOfKey(key: string): number | null {
    return this.sending.refOfKey(key)
  }

  /**
   * The messages that the journal has brought back, in the order they were given: those without an
   * end, those that are remembered for their key, and those of whose failure the first step tells.
   * After that step it is empty.
   */
  restored(): OutgoingRecord[] {
    return this.sending.restored()
  }

  // ------------------------------------------------------------ what comes

  static readonly #handlers: Handlers = {
    Connect: (core) => core.onConnect(),
    Disconnect: (core) => core.onDisconnect(),
    Send: (core, send) => core.sending.add(send),
    Cancel: (core, { ref }) => core.sending.cancel(ref),
    MessageHandled: ({ receiving }, { delivery, ok = true }) =>
      ok ? receiving.handled(delivery) : receiving.failed(delivery),
    MessageTaken: (core, { delivery }) => core.receiving.inbox.take(delivery),
    MarkRead: (core, wish) => core.life.markRead(wish),
    SetTyping: (core, wish) => core.life.setTyping(wish),
    JournalWritten: (core, { request }) => core.journaling.done(request),
    JournalFailed: (core, failed) => core.#onJournalFailed(failed),
    UpdateToken: (core, update) => core.onUpdateToken(update),
    TokenReady: (core, ready) => core.onTokenReady(ready),
    TokenFailed: (core, failed) => core.onTokenFailed(failed),
    SessionCall: (core, wish) => core.sessions.call(wish),
    HttpAnswered: (core, answered) => core.sessions.answered(answered),
    HttpFailed: (core, failed) => core.sessions.failed(failed),
    TransportOpened: (core, opened) => core.onTransportOpened(opened),
    TransportFailed: (core, failed) => core.onTransportFailed(failed),
    TransportLost: (core, lost) => core.onTransportLost(lost),
    WriteBlocked: (core) => (core.sending.blocked = true),
    WriteReady: (core) => (core.sending.blocked = false),
    NetworkChanged: (core) => core.onNetworkChanged(),
    WallClock: (core, { wall }) => core.lookAtClocks(wall),
    TimePassed: (core, { wall }) => core.onTime(wall),
    LinkOpened: (core, opened) => core.onLinkOpened(opened),
    LinkRefused: (core, refused) => core.onLinkRefused(refused),
    TextReceived: (core, received) => core.#onText(received),
    ControlReceived: (core) => core.liveness.life(),
    PartialChanged: (core, changed) => core.#onPartial(changed),
    PeerClosed: (core, closed) => core.onPeerClosed(closed),
    FramingViolated: (core, violated) => core.onFramingViolated(violated),
  }

  #onJournalFailed({ request, reason }: JournalFailed): void {
    const lost = this.journaling.failed(request)
    if (lost === null) return
    const [changes, ticket] = lost
    this.timers.set('JOURNAL', this.fx.now + RETRY_AFTER)
    const error = new IMError(
      'JOURNAL_FAILED',
      `the journal can't be written: ${printable(reason)}; what is in it is safe, ` +
        "what it can't take is refused, and nothing is acknowledged that is not in it",
    )
    this.fx.notify({ type: 'ErrorOccurred', error, anotherWay: false })
    this.journaling.again(this.sending.unrecorded(changes, ticket, error))
  }

  #onText({ text }: TextReceived): void {
    if (this.connection !== 'open') return
    this.liveness.life()
    this.half = false
    this.timers.cancel('PARTIAL')
    let messages: Incoming[]
    try {
      messages = this.fx.dialect.decode(text, this.capabilities.includes('batch') ? MAX_BATCH : 0)
    } catch (bad) {
      if (!(bad instanceof BadFrame)) throw bad
      this.violated(bad.reason, bad.closeCode)
      return
    }
    for (const message of messages) {
      if (this.connection !== 'open') return
      this.#dispatch(message)
    }
  }

  #dispatch(message: Incoming): void {
    const { fx, login, receiving, sending, sessions } = this
    switch (message.type) {
      case 'ChatRedirectToUser':
      case 'ReceiptPush':
      case 'ReadSync':
      case 'Unknown':
        return this.inTrouble(receiving.pushed(message))
      case 'ChatSendResponse':
      case 'ChatAnswer': {
        const { accepted } = fx.counters
        const trouble = sending.answered(message)
        // and not of something that we never sent
        if (fx.counters.accepted > accepted) login.messageAccepted()
        this.inTrouble(trouble)
        if (message.type === 'ChatSendResponse' && message.code === SESSION_CLOSED) {
          sessions.cache.sendRefused(message.sessionId)
        }
        return
      }
      case 'HeartbeatResponse':
        return fx.notify({ type: 'HeartbeatReceived', rtt: this.liveness.answered(fx.now) })
      case 'AuthResponse':
        return this.onAuthResponse(message)
      case 'ChatError':
        return this.inTrouble(sending.refused(message))
      case 'MessageStatusResponse':
        return sending.toldStatus(message)
      case 'SyncResponse':
        return receiving.synced(message)
      case 'SessionResponse':
        return this.inTrouble(sessions.responded(message))
      case 'AuthExpiring':
        return this.refresh.expiring(message.expiresIn)
      case 'Kick':
        this.kick = message
        this.kickedAt = fx.now
        return login.excused() // no strict server has this word
      case 'Malformed':
        return this.violated(`${message.kind || 'an envelope'}: ${message.reason}`)
      default:
        this.life.heard(message)
    }
  }

  #onPartial({ partial }: PartialChanged): void {
    this.half = partial && this.connection === 'open'
    if (!this.half) this.timers.cancel('PARTIAL')
    else if (this.timers.get('PARTIAL') === null && !this.paused) this.#awaitRest()
  }

  #awaitRest(): void {
    this.timers.set('PARTIAL', this.fx.now + this.config.timeouts.partial)
  }

  // ------------------------------------------------------------ the end of a step

  /** Hand over and acknowledge what may go, and tell of a changed state. */
  #settle(): void {
    const { receiving, sending } = this
    const tokenWanted = this.sessions.pump(this.linkWanted)
    receiving.settle()
    sending.pump()
    if (this.login.state === 'authenticated') {
      this.life.pump(sending.blocked)
      if (!sending.blocked) receiving.acknowledge() // the last ack says it all, when it reads again
      this.#paceReading()
      this.flush()
      this.offerToken()
    } else {
      receiving.lookBehind()
    }
    if (tokenWanted || this.refresh.wanted) this.fetchToken()
    this.journaling.pump()
    const told = this.#told
    if (this.#status() !== told.status || this.reason !== told.reason) {
      this.#told = this.state()
      this.fx.notify({ type: 'StateChanged', previous: told, current: this.#told })
    }
  }

  /** Stop reading while the application is behind, unless an answer is awaited. */
  #paceReading(): void {
    const { receiving, sending } = this
    const behind = receiving.lookBehind()
    if (!behind && !this.paused) return
    const awaiting =
      sending.outbox.size > 0 || receiving.syncing || this.refresh.awaited || this.sessions.awaited
    if (behind && !awaiting && !this.paused) {
      this.paused = true
      this.timers.cancel('PARTIAL')
      this.liveness.deafen()
      this.fx.do({ type: 'PauseReading', transport: this.transport })
    } else if (this.paused && (awaiting || !behind)) {
      this.resumeReading()
      if (this.liveness.inDoubt) this.probe()
      if (this.half) this.#awaitRest()
    }
  }

  #status(): Status {
    const { reconnect } = this
    if (!this.linkWanted) return 'DISCONNECTED'
    if (reconnect === 'established') return 'AUTHENTICATED'
    if (reconnect === 'attempting' && this.connection === 'open') return 'CONNECTED'
    return this.wasAuthenticated || this.backoff.retries ? 'RECONNECTING' : 'CONNECTING'
  }
}
