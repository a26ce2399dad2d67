/** The application's own names for its sends: one key, one message, also after its end. */

import type { OutgoingRecord } from './journal'

/** Which message has which key. */
export class Keys {
  readonly #keptMs: number
  readonly #refs = new Map<string, number>()
  /** By ref, those with an end, in the order of their ends. */
  readonly #ended = new Map<number, OutgoingRecord>()

  /** @param kept - seconds for which a key is remembered after the end of its message. */
  constructor(kept: number) {
    this.#keptMs = kept * 1000
  }

  /** The message with that key; null: there is none, or its end is too long ago. */
  refOf(key: string, wallMs: number): number | null {
    const ref = this.#refs.get(key) ?? null
    const record = ref === null ? undefined : this.#ended.get(ref)
    return record && this.#tooOld(record, wallMs) ? null : ref
  }

  /** The message of that ref, if it has a key and an end. */
  ended(ref: number): OutgoingRecord | null {
    return this.#ended.get(ref) ?? null
  }

  /** A message has this key now. */
  take(key: string, ref: number): void {
    this.#refs.set(key, ref)
  }

  /** The message with this key is as if it had never been. */
  free(key: string): void {
    this.#refs.delete(key)
  }

  /** A message with a key has its end. */
  keep(record: OutgoingRecord): void {
    this.#refs.set(record.key as string, record.ref)
    this.#ended.set(record.ref, record)
  }

  /** Forget those whose end is too long ago: which. */
  forgetOld(wallMs: number): OutgoingRecord[] {
    const gone: OutgoingRecord[] = []
    for (const record of this.#ended.values()) {
      if (!this.#tooOld(record, wallMs)) break
      gone.push(record)
      this.#ended.delete(record.ref)
      if (record.key !== null && this.#refs.get(record.key) === record.ref) {
        this.#refs.delete(record.key)
      }
    }
    return gone
  }

  #tooOld(record: OutgoingRecord, wallMs: number): boolean {
    return wallMs - (record.endedAt ?? 0) > this.#keptMs
  }
}
