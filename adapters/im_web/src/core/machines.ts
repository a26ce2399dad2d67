/** The state machines, as tables; drawn and described in docs/state-machines.md. */

import * as tables from '../generated/tables'
import { LocalProtocolError } from './errors'

/** One machine. */
export class Table {
  /** The state to start in. */
  readonly initial: string
  /** The states that nothing leads out of. */
  readonly final: ReadonlySet<string>
  readonly #name: string
  readonly #next: tables.Table['next']

  constructor(name: string, table: tables.Table) {
    this.initial = table.initial
    this.final = new Set(table.final)
    this.#name = name
    this.#next = table.next
  }

  /**
   * The state that `event` leads to.
   *
   * @throws LocalProtocolError - `state` doesn't know `event`; the text names both.
   */
  next(state: string, event: string): string {
    if (!this.knows(state, event)) {
      throw new LocalProtocolError(
        `${this.#name}: event '${event}' is not allowed in state '${state}'`,
      )
    }
    return this.#next[state]![event]!
  }

  /** Whether `event` may happen in `state`. */
  knows(state: string, event: string): boolean {
    const known = this.#next[state]
    return known !== undefined && Object.hasOwn(known, event)
  }
}

export const CONNECTION = new Table('ConnectionMachine', tables.CONNECTION)
export const AUTH = new Table('AuthMachine', tables.AUTH)
export const HEARTBEAT = new Table('HeartbeatMachine', tables.HEARTBEAT)
export const RECONNECT = new Table('ReconnectMachine', tables.RECONNECT)
export const DELIVERY = new Table('DeliveryMachine', tables.DELIVERY)
export const SESSION = new Table('SessionMachine', tables.SESSION)
