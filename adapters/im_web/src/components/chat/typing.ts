/** Who is writing: the other one, until that is old; this user, as long as keys are pressed. */
import type { UserId } from '../../types'
import type { ChatClient } from './client'
import type { Conversation } from './conversations'
import { keyOf } from './ids'

/** Said again at most once a second while somebody writes, so after this it is not so any more. */
const EXPIRES = 6000
/** Without a key for so long, this user has stopped. */
const IDLE = 3000

type Timer = ReturnType<typeof setTimeout>

/** Both directions, for all conversations. */
export class Typing {
  readonly #client: ChatClient
  readonly #theirs = new Map<string, Timer>()
  readonly #ours = new Map<string, Timer>()

  constructor(client: ChatClient) {
    this.#client = client
  }

  /** The other one has begun, or stopped. */
  told(conversation: Conversation, active: boolean): void {
    const key = keyOf(conversation.user)
    clearTimeout(this.#theirs.get(key))
    conversation.typing = active
    if (!active) return
    const expired = () => (conversation.typing = false)
    this.#theirs.set(key, setTimeout(expired, EXPIRES))
  }

  /** This user has pressed a key, or (not `active`) has sent it, or taken it all away. */
  pressed(to: UserId, active: boolean): void {
    const key = keyOf(to)
    const timer = this.#ours.get(key)
    clearTimeout(timer)
    this.#ours.delete(key)
    if (!active && timer === undefined) return
    this.#client.setTyping(to, active)
    const stopped = () => this.pressed(to, false)
    if (active) this.#ours.set(key, setTimeout(stopped, IDLE))
  }

  stop(): void {
    for (const timer of [...this.#theirs.values(), ...this.#ours.values()]) clearTimeout(timer)
  }
}
