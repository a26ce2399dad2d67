/**
 * A browser's WebSocket as a transport: opening it is one step here, as a browser shows nothing of
 * what is between.
 */

import type { CoreInput } from '../core/inputs'
import type { Environment, Socket } from '../types'

/** A browser has one event for all of these, so that a page can't spy on a network. */
const WHY =
  'the browser does not say why: the address may be wrong, the server down, its certificate ' +
  'bad, or this page not one that the server lets in (Origin)'

/** Above so many bytes nothing more is written … */
const HIGH = 262_144
/** … until there are so few. */
const LOW = 65_536
/** `WebSocket.OPEN` */
const OPEN = 1
/** How often one looks, ms: no event tells of it. */
const LOOK = 50

/** What a link needs of its client. */
export interface LinkOptions {
  env: Environment
  url: string
  /** The most bytes of a message. */
  messageBytes: number
  /** The server is known to take capabilities: a browser can't see its headers. */
  capable: () => boolean
  /** Takes what happens; may be called inside of any method here. */
  feed: (input: CoreInput) => void
}

/** One WebSocket, from the wish for it to its end. */
export class Link {
  #socket: Socket | null = null
  #opened = false
  /** what came while nothing is to be read; null: it is read */
  #held: CoreInput[] | null = null
  #looking: unknown = null

  /** @param transport - the engine's number of it. */
  constructor(
    readonly transport: number,
    readonly options: LinkOptions,
  ) {}

  /** Begin to open it. */
  open(): void {
    const { env, url } = this.options
    try {
      const socket = new env.WebSocket(url)
      this.#socket = socket
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => {
        this.#opened = true
        this.#feed({ type: 'TransportOpened', transport: this.transport })
      }
      socket.onmessage = ({ data }) => this.#message(data)
      socket.onclose = (event) => this.#closed(event)
    } catch {
      this.#fail('the browser refuses it: a page that came by https may open no ws:// address')
    }
  }

  /** The upgrade: it is behind us. */
  start(): void {
    const { transport } = this
    this.#feed({ type: 'LinkOpened', transport, capable: this.options.capable() })
  }

  /** Write a message. */
  send(text: string): void {
    // one that closes takes nothing more, and says so in the console
    if (this.#socket?.readyState !== OPEN) return
    this.#socket.send(text)
    if (this.#looking === null && this.#socket.bufferedAmount > HIGH) {
      this.#feed({ type: 'WriteBlocked', transport: this.transport })
      this.#look()
    }
  }

  /**
   * Send a close frame. A page may use 1000 and 3000 to 4999, and a reason of 123 bytes: any other
   * goes without.
   */
  sendClose(code: number, reason: string): void {
    try {
      this.#socket?.close(code, reason)
    } catch {
      this.#socket?.close()
    }
  }

  /** Read no more: a browser reads on, so what comes is held back. */
  pause(): void {
    this.#held ??= []
  }

  /** Read again. */
  resume(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const input of held) this.#arrive(input)
  }

  /** Write what waits, then close. */
  close(): void {
    this.#socket?.close()
  }

  /** End it at once, as far as a browser can; nobody hears of it any more. */
  drop(): void {
    const socket = this.#socket
    this.#forget()
    socket?.close()
  }

  #message(data: unknown): void {
    const { transport } = this
    if (typeof data !== 'string') {
      const reason = 'a binary message, where only text is spoken'
      this.#arrive({ type: 'FramingViolated', transport, code: 1003, reason })
    } else if (data.length > this.options.messageBytes) {
      const reason = `a message of more than ${this.options.messageBytes} bytes`
      this.#arrive({ type: 'FramingViolated', transport, code: 1009, reason })
    } else {
      this.#arrive({ type: 'TextReceived', transport, text: data })
    }
  }

  #closed({ code, reason, wasClean }: CloseEvent): void {
    const { transport } = this
    if (!this.#opened) {
      this.#fail(this.options.env.online() ? WHY : 'this machine has no network')
      return
    }
    this.#forget()
    if (wasClean) this.#arrive({ type: 'PeerClosed', transport, code, reason })
    this.#arrive({ type: 'TransportLost', transport, reason: '' })
  }

  #fail(reason: string): void {
    this.#forget()
    this.#feed({ type: 'TransportFailed', transport: this.transport, kind: 'other', reason })
  }

  /** It comes in, or waits behind what is held back. */
  #arrive(input: CoreInput): void {
    if (this.#held) this.#held.push(input)
    else this.#feed(input)
  }

  #feed(input: CoreInput): void {
    this.options.feed(input)
  }

  #look(): void {
    this.#looking = this.options.env.setTimeout(() => {
      this.#looking = null
      if (!this.#socket) return
      if (this.#socket.bufferedAmount > LOW) this.#look()
      else this.#feed({ type: 'WriteReady', transport: this.transport })
    }, LOOK)
  }

  #forget(): void {
    this.options.env.clearTimeout(this.#looking)
    const socket = this.#socket
    this.#socket = null
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null
  }
}
